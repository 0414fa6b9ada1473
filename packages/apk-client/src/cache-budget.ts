import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

/** Bytes of packages that the cache keeps. */
export const defaultBudget = 10e9;
/** Milliseconds. No build takes longer, so that what was used since then may be in use now. */
const longestUse = 24 * 3600 * 1000;

/**
 * Removes the longest unused files of a folder until the rest fits into `budget` bytes, and spares what was used within a day. What broken-off downloads left
 * counts as the packages do. Whatever cannot be removed stays.
 */
export async function keepToBudget(folder: string, budget: number): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const found = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const { size, mtimeMs } = await stat(path).catch(() => ({ size: 0, mtimeMs: Number.POSITIVE_INFINITY }));
      return { path, size, used: mtimeMs };
    }),
  );
  let bytes = 0;
  for (const { path, size, used } of found.sort((a, b) => b.used - a.used)) {
    bytes += size;
    if (bytes > budget && used < Date.now() - longestUse) await rm(path, { force: true }).catch(() => {});
  }
}
