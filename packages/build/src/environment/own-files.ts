import { readdir } from "node:fs/promises";
import { basename, dirname, isAbsolute, join } from "node:path";

export interface OwnFiles {
  /** Folders that are melange2's alone: its state, the cache directory. */
  readonly folders: readonly string[];
  readonly outDirectory: string;
  readonly architectures: readonly string[];
  /** Where debug images were, or are to be, exported; what is no absolute path is no file. */
  readonly exports: readonly string[];
}

/**
 * What melange2 writes, as absolute paths. None of it is source, wherever the source directory is: copied along it would be huge, and
 * every build would start from other files than the one before. Of the output folder only the architectures' folders: a project may
 * well have a folder `packages` of its own.
 */
export async function ownFiles(own: OwnFiles): Promise<readonly string[]> {
  const outputs = own.architectures.map((arch) => join(own.outDirectory, arch));
  const archives = await Promise.all(own.exports.filter(isAbsolute).map(withOlderOnes));
  return [...own.folders, ...outputs, ...archives.flat()];
}

/** `debug.tar` with the `debug.1.tar`, `debug.2.tar`… that it was renamed to when a newer one came. */
async function withOlderOnes(path: string): Promise<readonly string[]> {
  const [stem = ""] = basename(path).split(/\.(?:tar|tgz)\b/);
  const extension = basename(path).slice(stem.length);
  const names = await readdir(dirname(path)).catch(() => []);
  const older = names.filter((name) => {
    const number = name.slice(stem.length, name.length - extension.length);
    return name.startsWith(stem) && name.endsWith(extension) && /^\.\d+$/.test(number);
  });
  return [path, ...older.map((name) => join(dirname(path), name))];
}
