import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { MelangeError } from "@melange2/core";

/**
 * The absolute path of an archive that can be written now: its folder exists and is writable, and what may stand under the name
 * already is a plain file, to be kept under another name. Changes nothing. Rejects with `code`.
 */
export async function archivePath(cwd: string, given: string, code: "usage" | "export"): Promise<string> {
  const refusal = (message: string, hint: string, cause?: unknown) => new MelangeError(code, message, { hint, cause });
  if (given === "" || given.endsWith("/")) {
    throw refusal(`"${given}" does not name a file`, "Give --export-path a file name, such as /tmp/debug.tar.");
  }
  const path = resolve(cwd, given);
  const folder = dirname(path);
  const found = await stat(folder).catch(() => undefined);
  if (!found) throw refusal(`the folder ${folder} does not exist`, "Create it, or choose another --export-path.");
  if (!found.isDirectory()) throw refusal(`${folder} is not a folder`, "Choose another --export-path.");
  try {
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw refusal(`the folder ${folder} cannot be written to`, "Choose another --export-path.", cause);
  }
  const present = await stat(path).catch(() => undefined);
  if (present?.isDirectory()) {
    throw refusal(`${path} is a directory`, `Name a file in it: --export-path=${path}/debug.tar.`);
  }
  if (present && !present.isFile()) {
    throw refusal(`${path} is not a plain file`, "Name a file, or use --export-path=- for standard output.");
  }
  return path;
}
