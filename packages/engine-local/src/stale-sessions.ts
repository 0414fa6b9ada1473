import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { takeLocks } from "./file-lock.ts";
import type { Host } from "./host.ts";
import { runJob } from "./jobs.ts";
import type { StateDirectory } from "./state-directory.ts";
import { noteGrowth } from "./upkeep-notes.ts";

/** The file whose lock says that a session lives. Its name is never used again. */
export function sessionLock(state: StateDirectory, name: string): string {
  return join(state.locks, `session-${name}`);
}

/** Removes what sessions left that were killed: a folder whose lock nobody holds. */
export async function removeStaleSessions(host: Host, state: StateDirectory, signal: AbortSignal): Promise<void> {
  for (const name of readdirSync(state.tmp)) {
    const file = sessionLock(state, name);
    await using lock = await takeLocks(host, [{ file, kind: "exclusive" }], { wait: false, signal });
    if (!lock.acquired) continue;
    // What it made and nobody measured: the next session that ends looks at everything.
    noteGrowth(state, Number.POSITIVE_INFINITY);
    await removeSession(host, state, name, signal);
  }
}

/** Under its lock. Inside a sandbox's user namespace, since a step's files may belong to users that only it knows. */
export async function removeSession(
  host: Host,
  state: StateDirectory,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const doing = "removing a session's files";
  await runJob(host, [host.tool("rm"), "-rf", "--", join(state.tmp, name)], { doing, signal });
  rmSync(sessionLock(state, name), { force: true });
}
