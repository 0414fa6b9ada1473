import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

/** An import writes all the time; a file that was not written for this long belongs to one that was killed. */
const abandonedAfterMs = 24 * 60 * 60 * 1000;

/** Removes files whose name has the ending and that nobody writes any more. What cannot be removed stays. */
export async function removeAbandoned(directory: string, ending: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.endsWith(ending)) continue;
    const path = join(directory, name);
    const written = (await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now();
    if (Date.now() - written > abandonedAfterMs) await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}
