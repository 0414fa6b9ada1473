import { createHash, randomBytes } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

/** Processes of other machines and containers have other numbers. */
const machine = createHash("sha256").update(hostname()).digest("hex").slice(0, 8);

/** `PREFIX-MACHINE-PROCESS-RANDOM`: a name that nobody has, by which {@link removeOrphans} knows whose the file or folder is. */
export function ownedName(prefix: string): string {
  return `${prefix}-${machine}-${process.pid}-${randomBytes(8).toString("hex")}`;
}

/** Removes what processes of this machine left under such names that were killed. Leaves what cannot be removed. */
export async function removeOrphans(directory: string, prefix: string): Promise<void> {
  for (const name of await findOrphans(directory, prefix))
    await rm(join(directory, name), { recursive: true, force: true }).catch(() => {});
}

/**
 * The names of what processes of this machine left in a folder under names of {@link ownedName} that were killed. `prefix` is the source of
 * a regular expression. A folder that cannot be read has none.
 */
export async function findOrphans(directory: string, prefix: string): Promise<readonly string[]> {
  const names = await readdir(directory).catch(() => []);
  const pattern = new RegExp(`^(?:${prefix})-${machine}-([0-9]+)-[0-9a-f]{16}`);
  return names.filter((name) => {
    const [, owner] = pattern.exec(name) ?? [];
    return owner !== undefined && !isAlive(Number(owner));
  });
}

/** Whether the process that made an {@link ownedName} is one of this machine that has ended. Of other machines' nothing is known. */
export function hasEndedOwner(name: string): boolean {
  const [, of, owner] = /-([0-9a-f]{8})-([0-9]+)-[0-9a-f]{16}$/.exec(name) ?? [];
  return of === machine && !isAlive(Number(owner));
}

function isAlive(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
