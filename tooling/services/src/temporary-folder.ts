import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder that stands for the machine's own for temporary files while tests run, so that whatever they leave goes with it. */
export async function createTemporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "melange2-tests-"));
  // As /tmp is: tests work as several users.
  await chmod(path, 0o1777);
  return { path, remove: () => removeOwnTree(path) };
}

/** Removes a tree of which some may belong to ids of a sandbox's user namespace. */
export async function removeOwnTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EACCES" && error.code !== "EPERM") throw error;
    execFileSync("unshare", ["--map-root-user", "--map-auto", "rm", "-rf", path]);
  });
}
