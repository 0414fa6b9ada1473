import { randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { chmod, mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { EventBody, Tell } from "@melange2/core";

/** A folder of ours beside what it is to become, on the same disk. Disposing it removes it, and tells where that cannot be done. */
export interface ScratchFolder extends AsyncDisposable {
  readonly path: string;
}

/** Which processes can be told apart by their numbers, the number, when it started: `.melange2-PLACE-PID-START-RANDOM`. */
const scratchName = /^\.melange2-([0-9a-z]+)-(\d+)-(\d+)-[0-9a-f]{8}$/;

/** Of another machine or container nobody knows whether it still writes; after a day nothing does. */
const abandonedAfter = 24 * 60 * 60 * 1000;

/** Makes one in `folder`, which exists, and removes those that killed processes left there. */
export async function scratchFolder(folder: string, tell: Tell): Promise<ScratchFolder> {
  await removeAbandoned(folder);
  const name = `.melange2-${place()}-${process.pid}-${startOf(process.pid)}-${randomBytes(4).toString("hex")}`;
  const path = join(folder, name);
  await mkdir(path, { mode: 0o700 });
  return { path, [Symbol.asyncDispose]: () => removeTree(path).catch((error: Error) => tell(notRemoved(path, error))) };
}

/** No error: what the folder was for has succeeded, or has failed for a reason that must be heard. */
function notRemoved(path: string, { message }: Error): EventBody {
  const hint = "Remove it by hand: nothing needs it.";
  return { type: "notice", level: "warning", message: `a temporary folder stays, ${path}: ${message}`, hint };
}

async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const [, where, pid, start] = scratchName.exec(name) ?? [];
    if (where === undefined) continue;
    const path = join(folder, name);
    const here = where === place();
    if (here ? startOf(Number(pid)) === start : !(await isOld(path))) continue;
    // What cannot be removed stays, and is nobody's output.
    await removeTree(path).catch(() => {});
  }
}

async function isOld(path: string): Promise<boolean> {
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
  return Date.now() - mtimeMs > abandonedAfter;
}

/** Folders that were written may lack the rights that removing needs; all of them get those, from the top down. */
async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(async () => {
    await giveOwnersRights(Buffer.from(path));
    await rm(path, { recursive: true, force: true });
  });
}

async function giveOwnersRights(folder: Buffer): Promise<void> {
  await chmod(folder, 0o700);
  for (const entry of await readdir(folder, { withFileTypes: true, encoding: "buffer" }))
    if (entry.isDirectory()) await giveOwnersRights(Buffer.concat([folder, Buffer.from("/"), entry.name]));
}

/** This start of the machine and this process namespace. */
function place(): string {
  const boot = textOf("/proc/sys/kernel/random/boot_id").slice(0, 8);
  const namespace = /\d+/.exec(linkOf("/proc/self/ns/pid"))?.[0] ?? "";
  return `${boot}${namespace}` || "unknown";
}

/** When a process started, in ticks since the machine did; empty where there is no such process. */
function startOf(pid: number): string {
  // The name of the program, in parentheses, may hold blanks.
  return textOf(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ")[19] ?? "";
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "";
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
