import { ApkError, isApkError, printable } from "@melange2/apk";

const words: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the quota of its owner is used up",
  EACCES: "it may not be written",
  EPERM: "it may not be written",
  EROFS: "its file system is read-only",
  ENOTDIR: "a part of its path is no folder",
  EEXIST: "a file is in its place",
  ENAMETOOLONG: "its path is too long",
};

/** An error of the file system under the cache as `cache`, by what is wrong and where; anything else as it is. */
export function translated(error: unknown, directory: string): unknown {
  const { code, syscall, path = directory } = (error ?? {}) as NodeJS.ErrnoException;
  if (isApkError(error) || code === undefined || syscall === undefined) return error;
  const message = `the cache of packages cannot be used: ${printable(path)}: ${words[code] ?? printable(code)}`;
  const hint =
    code === "ENOSPC" || code === "EDQUOT"
      ? "Free some room: everything in the cache may be removed, and is fetched again."
      : "Make the folder writable, or name another one for the cache.";
  return new ApkError("cache", message, { hint, cause: error });
}

/** Does work on the cache, and rejects with what {@link translated} makes of its errors. */
export async function onCache<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translated(error, directory);
  }
}
