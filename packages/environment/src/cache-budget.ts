import { readdirSync, rmSync, statSync } from "node:fs";
import { utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface CacheBudget {
  readonly bytes: number;
  readonly files: number;
}

/** Each changed source tree is a tar of its own, so that without an end the cache would fill the disk. */
export const defaultCacheBudget: CacheBudget = { bytes: 10e9, files: 1000 };

/** Where a process leaves a file, named by its id, as old as its use of the cache. Processes of other machines or containers are not seen. */
const users = (directory: string) => join(directory, "users");

/** What this process uses from now on stays as long as it lives. */
export async function noteUser(directory: string): Promise<void> {
  livingUsers(directory);
  const file = join(users(directory), String(process.pid));
  const first = await writeFile(file, "", { flag: "wx", mode: 0o600 }).then(
    () => true,
    () => false,
  );
  // One that is older than this process is of another one that had its id, as in each container.
  const old = (statOf(file).mtimeMs ?? 0) < Date.now() - process.uptime() * 1000;
  if (first || old) await noteUse(file);
}

/** Longer than any build takes. After that, an id is more likely to be another process's. */
const longestUseMs = 7 * 24 * 3600 * 1000;

/** The time of last use is the mtime, by the clock that all of them have; a file that is not there has none. */
export async function noteUse(...files: readonly string[]): Promise<void> {
  const now = new Date();
  await Promise.all(files.map((file) => utimes(file, now, now).catch(() => {})));
}

/**
 * Removes the longest unused files of these folders until the rest fits; what was used since a process began that still lives, never. Synchronous from the
 * last look at a file to its end: another process may find it at that moment.
 */
export function keepToBudget(directory: string, folders: readonly string[], budget: CacheBudget): void {
  const files = folders
    .flatMap((folder) => readdirSync(join(directory, folder)).map((name) => join(directory, folder, name)))
    .flatMap((path) => {
      const { size, mtimeMs } = statOf(path);
      return mtimeMs === undefined ? [] : [{ path, size, mtimeMs }];
    })
    .sort((a, b) => b.mtimeMs - a.mtimeMs);
  const since = Math.min(...livingUsers(directory).map((file) => statOf(file).mtimeMs ?? Number.POSITIVE_INFINITY));
  let bytes = 0;
  for (const [index, { path, size, mtimeMs }] of files.entries()) {
    bytes += size;
    if ((bytes <= budget.bytes && index < budget.files) || mtimeMs >= since) continue;
    if (statOf(path).mtimeMs === mtimeMs) rmSync(path, { force: true });
  }
}

/** The files of processes that live; those of others are removed. */
function livingUsers(directory: string): readonly string[] {
  return readdirSync(users(directory)).flatMap((name) => {
    const file = join(users(directory), name);
    if (lives(Number(name)) && (statOf(file).mtimeMs ?? 0) > Date.now() - longestUseMs) return [file];
    rmSync(file, { force: true });
    return [];
  });
}

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function statOf(path: string): { readonly size: number; readonly mtimeMs?: number } {
  return statSync(path, { throwIfNoEntry: false }) ?? { size: 0 };
}
