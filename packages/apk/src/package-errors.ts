import { ApkError } from "./error.ts";
import { printable } from "./printable.ts";

/** `what` and `why` may hold foreign text. */
export function damagedPackage(what: string, why: string, cause?: unknown): ApkError {
  return new ApkError("package", `the package ${printable(what)} is not as it should be: ${printable(why)}`, {
    hint: "The file is damaged or was changed: remove it, so that it is fetched again, or ask whoever publishes the repository.",
    cause,
  });
}
