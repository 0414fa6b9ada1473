import { randomBytes } from "node:crypto";
import { mkdir, rmdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { MelangeError } from "@melange2/core";

/**
 * Refuses, with code `usage`, a folder that cannot be written or made; nothing stays changed. `what` names it, `hint` says what to do: better
 * before the first step than after the last one.
 */
export async function refuseUnwritable(folder: string, what: string, hint: string): Promise<void> {
  const path = resolve(folder);
  const refused = (why: string, cause?: unknown) =>
    new MelangeError("usage", `${what} ${path} cannot be used: ${why}`, { hint, cause });
  const found = await nearest(path).catch((cause: NodeJS.ErrnoException) => {
    throw refused(impossible[cause.code ?? ""] ?? cause.message, cause);
  });
  if (!found.isDirectory) throw refused(`${found.path} is not a folder`);
  await tryFolder(found.path).catch((cause: NodeJS.ErrnoException) => {
    // A disk that is full may have room by the time that something is written.
    if (cause.code === "ENOSPC" || cause.code === "EDQUOT") return;
    throw refused(`${found.path} ${unwritable[cause.code ?? ""] ?? "may not be written to"}`, cause);
  });
}

/** Only making a folder tells whether one can be made: rights say nothing of a read-only disk, or of what the kernel shows below /proc. */
async function tryFolder(folder: string): Promise<void> {
  const trial = join(folder, `.melange2-trial-${randomBytes(6).toString("hex")}`);
  await mkdir(trial, { mode: 0o700 });
  await rmdir(trial);
}

const unwritable: Readonly<Record<string, string>> = {
  ENOENT: "is the kernel's, and takes no folders",
  EROFS: "is on a read-only disk",
  ENAMETOOLONG: "has too long a path",
};

/** Why no folder can ever be there, by the system's word. */
const impossible: Readonly<Record<string, string>> = {
  ENAMETOOLONG: "a name in it is too long",
  ELOOP: "its symlinks lead round in a circle",
};

/** The folder itself or, where it is still to be made, what stands nearest above it. */
async function nearest(path: string): Promise<{ readonly path: string; readonly isDirectory: boolean }> {
  try {
    return { path, isDirectory: (await stat(path)).isDirectory() };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENOTDIR" && code !== "EACCES") throw error;
    return nearest(dirname(path));
  }
}
