import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Bytes } from "@melange2/core";
import { ownedName, removeOrphans, writeFileAtomically } from "@melange2/oci";

const prefix = "spool";

/** Bytes that are too many for memory, in a file that only its owner can read. */
export interface SpoolFile {
  readonly path: string;
  remove(): Promise<void>;
}

export async function spoolFile(directory: string, bytes: Bytes): Promise<SpoolFile> {
  const path = await spoolPath(directory);
  await writeFileAtomically(path, bytes);
  return { path, remove: () => rm(path, { force: true }) };
}

/** A name in the directory, which is made, that nobody has. */
export async function spoolPath(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return join(directory, ownedName(prefix));
}

/** Removes what exports left that were killed. */
export async function sweepSpool(directory: string): Promise<void> {
  await removeOrphans(directory, prefix);
}
