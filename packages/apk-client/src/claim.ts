import { open, readFile, rm, stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/**
 * Has one of several processes do a piece of work whose result is a file: the others wait for it. A process that was killed at it is followed by the next.
 * Rejects with what the work rejects with, or with the signal's reason.
 */
export async function onceAmongProcesses(
  path: string,
  work: () => Promise<void>,
  signal: AbortSignal,
  onWait: () => void = () => {},
): Promise<void> {
  const claim = `${path}.claim`;
  for (;;) {
    signal.throwIfAborted();
    if (await exists(path)) return;
    if (await claimed(claim)) {
      try {
        // Between the look and the claim, another process may have done it.
        if (!(await exists(path))) await work();
        return;
      } finally {
        await rm(claim, { force: true });
      }
    }
    if (await isAbandoned(claim)) await rm(claim, { force: true });
    else {
      onWait();
      await delay(50, undefined, { signal }).catch(() => {});
    }
  }
}

async function claimed(claim: string): Promise<boolean> {
  try {
    const handle = await open(claim, "wx", 0o600);
    await handle.writeFile(String(process.pid)).finally(() => handle.close());
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** A claim without a number is being written, unless it stays so. */
async function isAbandoned(claim: string): Promise<boolean> {
  try {
    const owner = Number(await readFile(claim, "utf8"));
    if (owner > 0) return !isAlive(owner);
    return Date.now() - (await stat(claim)).mtimeMs > 10_000;
  } catch {
    return false;
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

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
