import { constants } from "node:fs";
import { access, readdir, realpath, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { MelangeError } from "@melange2/core";

/**
 * The absolute path of a layout that can be written now: the folder above exists and is writable, and what stands under the name
 * already is an empty folder or a layout, to be kept under another name. A link leads to what it points to. Changes nothing. Rejects
 * with `code`.
 */
export async function layoutPath(cwd: string, given: string, code: "usage" | "export"): Promise<string> {
  const refusal = (message: string, hint: string, cause?: unknown) => new MelangeError(code, message, { hint, cause });
  if (given === "") throw refusal("no folder is named", "Give --export-path a folder, such as /tmp/debug.");
  const named = resolve(cwd, given);
  const path = await realpath(named).catch(() => named);
  const above = dirname(path);
  const found = await stat(above).catch(() => undefined);
  if (!found) throw refusal(`the folder ${above} does not exist`, "Create it, or choose another --export-path.");
  if (!found.isDirectory()) throw refusal(`${above} is not a folder`, "Choose another --export-path.");
  try {
    await access(above, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw refusal(`the folder ${above} cannot be written to`, "Choose another --export-path.", cause);
  }
  const present = await stat(path).catch(() => undefined);
  if (present && !present.isDirectory()) throw refusal(`${path} is not a folder`, "Name one that is not there yet.");
  if (present && !(await isLayoutOrEmpty(path))) {
    throw refusal(
      `${path} is a folder of something else, not an OCI layout`,
      `Name one in it: ${join(path, "debug")}.`,
    );
  }
  return path;
}

async function isLayoutOrEmpty(path: string): Promise<boolean> {
  const names = await readdir(path).catch(() => ["unreadable"]);
  return names.length === 0 || (names.includes("oci-layout") && names.includes("index.json"));
}
