import { existsSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { locked } from "./lock.ts";
import { run } from "./run.ts";

/** The root of the repository, absolute. */
export const repositoryRoot = resolve(import.meta.dirname, "../../..");

/** Where downloads, root filesystems, built services and running services live: `.work` in the repository, or MELANGE2_TEST_CACHE. */
export const cacheFolder = (): string => resolve(repositoryRoot, process.env.MELANGE2_TEST_CACHE || ".work");

/**
 * The path of the cache entry `name`. An entry that is not there is made by `make`, which creates the file or folder it is given;
 * it appears under its name only when complete, and of several processes that ask at once one makes it while the others wait.
 * Whoever changes what `make` does also changes the name.
 */
export async function cached(name: string, make: (unfinished: string) => Promise<void>): Promise<string> {
  const entry = join(cacheFolder(), name);
  if (existsSync(entry)) return entry;
  await mkdir(dirname(entry), { recursive: true });
  return locked(`${entry}.lock`, async () => {
    if (existsSync(entry)) return entry;
    const started = performance.now();
    console.error(`preparing ${name} …`);
    const unfinished = `${entry}.unfinished`;
    await removeTree(unfinished);
    await make(unfinished);
    await rename(unfinished, entry);
    console.error(`preparing ${name}: ${((performance.now() - started) / 1000).toFixed(0)} s`);
    return entry;
  });
}

/** Removes a folder or file, but never anything mounted below it. */
export const removeTree = (path: string): Promise<string> => run(["rm", "-rf", "--one-file-system", "--", path]);
