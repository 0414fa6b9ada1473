import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Which of these programs are on the PATH, in the order given. */
export function installed(
  programs: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const folders = (env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return programs.filter((program) => folders.some((folder) => isExecutable(join(folder, program))));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
