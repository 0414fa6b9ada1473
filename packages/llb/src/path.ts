import { posix } from "node:path";
import { text } from "./check.ts";
import { LlbError } from "./error.ts";

/** The path without `.`, `..` and doubled slashes. Refuses relative ones: BuildKit would read them against a directory of its own. */
export function absolutePath(where: string, path: string): string {
  if (!text(where, path).startsWith("/")) {
    throw new LlbError(where, `"${path}" is not absolute`, "Start the path with a slash.");
  }
  const clean = posix.normalize(path);
  return clean.length > 1 && clean.endsWith("/") ? clean.slice(0, -1) : clean;
}
