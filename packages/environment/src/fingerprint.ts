import { createHash } from "node:crypto";
import { realpath, stat } from "node:fs/promises";
import { abortable } from "@melange2/oci";
import { childOutput } from "./child-output.ts";

/** A cheap stand-in for content: what a stat shows. Differs whenever something was written, renamed, chmodded or given an attribute, as all of these set ctime. */
export interface Fingerprint {
  /** 64 hex digits. */
  readonly key: string;
  /** False: something changed so recently that a later change might not show in its times. Not to be remembered. */
  readonly settled: boolean;
  /** Bytes of all files. */
  readonly bytes: number;
}

/** Longer than a tick of the coarsest clock that file systems use. */
const settleMs = 2000;

export async function fileFingerprint(path: string, salt: string): Promise<Fingerprint> {
  const now = Date.now();
  const { dev, ino, size, mtimeNs, ctimeNs, ctimeMs } = await stat(path, { bigint: true });
  const said = ["file", salt, await realpath(path), dev, ino, size, mtimeNs, ctimeNs].join("\0");
  return {
    key: createHash("sha256").update(said).digest("hex"),
    settled: Number(ctimeMs) < now - settleMs,
    bytes: Number(size),
  };
}

/**
 * Of everything in a directory, other file systems mounted inside left out. `prefix` goes before the command, so that it sees what the import will see.
 * find(1) takes 0.1 s for 20,000 entries; lstat from here took five times as long, and cannot look into a user namespace.
 */
export async function directoryFingerprint(
  path: string,
  salt: string,
  prefix: readonly string[],
  signal: AbortSignal,
): Promise<Fingerprint> {
  const now = Date.now();
  const hash = createHash("sha256").update(["directory", salt, await realpath(path), ""].join("\0"));
  const found = childOutput({
    argv: [...prefix, "find", path, "-xdev", "-printf", "%C@ %s %y %m %U %G %D %i %T@ %P\\0"],
    what: `reading ${path}`,
    missing: "Install GNU findutils, or give the base as a tar.",
  });
  let newest = 0;
  let bytes = 0;
  let rest = "";
  for await (const chunk of abortable(found, signal)) {
    hash.update(chunk);
    const records = (rest + Buffer.from(chunk).toString("latin1")).split("\0");
    rest = records.pop() ?? "";
    for (const record of records) {
      const [ctime = "", size = "", type] = record.split(" ", 3);
      newest = Math.max(newest, Number.parseFloat(ctime) * 1000);
      if (type === "f") bytes += Number(size);
    }
  }
  return { key: hash.digest("hex"), settled: newest < now - settleMs, bytes };
}
