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
  const names = await readdir(directory).catch(() => []);
  for (const name of names) {
    const [, owner] = new RegExp(`^${prefix}-${machine}-([0-9]+)-[0-9a-f]{16}`).exec(name) ?? [];
    if (owner === undefined || isAlive(Number(owner))) continue;
    await rm(join(directory, name), { recursive: true, force: true }).catch(() => {});
  }
}

function isAlive(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
