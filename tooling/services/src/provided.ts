import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { mustHaveAll, onlyInFullRuns, readMissing } from "./missing.ts";

/** The part of vitest's test context that is used here. */
export interface Skippable {
  skip(note?: string): never;
}

/**
 * The value of a variable that the set-up gives to tests, such as MELANGE2_TEST_DOCKER20. Without it the test is skipped with the reason;
 * with CI=true it fails, unless the service is one of full runs only. Naming the variable in a test file is what starts the service.
 */
export function provided(test: Skippable, variable: string): string {
  return process.env[variable] || without(test, variable, "the set-up of the tests does not know it");
}

/** The path of a program, such as skopeo; without it the test is skipped or fails as with `provided`. */
export function program(test: Skippable, name: string): string {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(folder, name);
    if (folder !== "" && runnable(path)) return path;
  }
  return without(test, name, "not on PATH");
}

/** Lets the test go on as root only; skips or fails it as with `provided`. */
export function root(test: Skippable): void {
  if (process.getuid?.() !== 0) without(test, "root", "these tests are run by an ordinary user");
}

/** Lets the test go on in full runs only: a combination whose parts the default run tests in others. */
export function fullRun(test: Skippable): void {
  if (process.env.MELANGE2_TEST_FULL !== "1") test.skip(onlyInFullRuns);
}

function without(test: Skippable, name: string, otherwise: string): never {
  const { reason, intended } = readMissing()[name] ?? { reason: otherwise, intended: false };
  if (mustHaveAll() && !intended) throw new Error(`${name}: ${reason}`);
  return test.skip(`${name}: ${reason}`);
}

function runnable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
