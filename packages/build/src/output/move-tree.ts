import { chmod, lstat, rename } from "node:fs/promises";

export interface Move {
  readonly from: string;
  readonly to: string;
}

/**
 * Moves files, links and folders on one disk, one after another; what is not there is passed over. Rejects with the system's error for the first
 * that cannot be moved, and takes those before it back, so that all have moved or none has.
 */
export async function moveAll(moves: readonly Move[]): Promise<void> {
  const done: Move[] = [];
  try {
    for (const move of moves) if (await moved(move)) done.push(move);
  } catch (error) {
    // The first error is the one that a person can do something about.
    for (const { from, to } of done.reverse()) await moved({ from: to, to: from }).catch(() => {});
    throw error;
  }
}

/** Its own `..` changes when a folder gets another parent: for that its owner needs these rights. */
const ownersRights = 0o700;

/** Moves one thing, whatever rights a folder gives its owner; afterwards the rights are what they were. Resolves to false where there is nothing. */
async function moved({ from, to }: Move): Promise<boolean> {
  const stats = await lstat(from).catch(unlessMissing);
  if (stats === undefined) return false;
  const rights = stats.mode & 0o7777;
  if (!stats.isDirectory() || (rights & ownersRights) === ownersRights) {
    await rename(from, to);
    return true;
  }
  await chmod(from, rights | ownersRights);
  try {
    await rename(from, to);
  } catch (error) {
    await chmod(from, rights);
    throw error;
  }
  await chmod(to, rights);
  return true;
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
