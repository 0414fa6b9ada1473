import { constants } from "node:fs";
import { lstat, open, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { EntryAttributes, Tree, TreeEntry } from "./entry.ts";

export interface DirectoryOptions {
  /** Leaves out what it returns false for, a directory with all that is in it. The path is relative to the root. */
  readonly include?: (path: string) => boolean;
  /** Instead of the owners on disk. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/**
 * A directory of this machine, with owners, modes, hard links, devices and whole mtimes; extended attributes are not
 * read. Symlinks are sent, never followed; sockets arrive as empty files. A file that changes its size while it is sent
 * fails the solve.
 */
export function directoryTree(root: string, options: DirectoryOptions = {}): Tree {
  return { entries: ({ enter }) => walk(root, "", { ...options, enter }, new Map()) };
}

async function* walk(
  root: string,
  directory: string,
  options: DirectoryOptions & { enter(directory: string): boolean },
  linked: Map<string, string>,
): AsyncGenerator<TreeEntry> {
  // In the order of the wire, so that of several hard links the one sent first is the file.
  const names = (await readdir(join(root, directory))).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const name of names) {
    const path = directory === "" ? name : `${directory}/${name}`;
    if (options.include?.(path) === false) continue;
    const entry = await read(root, path, options, linked);
    yield entry;
    if (entry.type === "directory" && options.enter(path)) yield* walk(root, path, options, linked);
  }
}

async function read(
  root: string,
  path: string,
  options: DirectoryOptions,
  linked: Map<string, string>,
): Promise<TreeEntry> {
  const full = join(root, path);
  const stat = await lstat(full, { bigint: true });
  const attributes: EntryAttributes = {
    path,
    mode: Number(stat.mode & 0o7777n),
    uid: options.owner?.uid ?? Number(stat.uid),
    gid: options.owner?.gid ?? Number(stat.gid),
    mtime: stat.mtimeNs,
  };
  if (stat.isDirectory()) return { ...attributes, type: "directory" };
  if (stat.isSymbolicLink()) return { ...attributes, type: "symlink", target: await readlink(full) };
  if (stat.isFIFO()) return { ...attributes, type: "fifo" };
  if (stat.isSocket()) return { ...attributes, type: "socket" };
  if (!stat.isFile()) {
    const device = stat.isBlockDevice() ? "block" : "character";
    return { ...attributes, type: "device", device, ...deviceNumber(stat.rdev) };
  }
  if (stat.nlink > 1n) {
    const identity = `${stat.dev}:${stat.ino}`;
    const target = linked.get(identity);
    if (target !== undefined) return { ...attributes, type: "hardlink", target };
    linked.set(identity, path);
  }
  return {
    ...attributes,
    type: "file",
    size: Number(stat.size),
    open: () => content(full),
  };
}

/** A symlink that took the place of the file since it was listed could lead anywhere. */
async function* content(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  yield* file.createReadStream({ highWaterMark: 256 * 1024 });
}

/** Linux packs the halves of both numbers into one. */
function deviceNumber(number: bigint): { major: number; minor: number } {
  return {
    major: Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn)),
    minor: Number((number & 0xffn) | ((number >> 12n) & ~0xffn)),
  };
}
