import { access, constants, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { MelangeError } from "@melange2/core";

/**
 * Refuses, with code `usage`, a folder that cannot be written or made; changes nothing. `what` names it, `hint` says what to do: better
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
  await access(found.path, constants.W_OK | constants.X_OK).catch((cause) => {
    throw refused(`${found.path} may not be written to`, cause);
  });
}

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
