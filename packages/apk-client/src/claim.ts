import { link, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { hasEndedOwner, ownedName } from "@melange2/oci";

// A claim is a file beside the result, and its text is a name that only its owner has. Claims save work and keep nothing safe: where two
// processes hold one after all, both do the work, each in files of its own.

/** How often an owner shows that it lives. */
const beat = 5_000;
/** An owner on another machine that has not shown itself for so long has ended. */
const longestSilence = 60_000;
const glance = 50;

/**
 * Has one of several processes do a piece of work whose result is a file, while the others wait for it. When the one is killed at it, the next one does it.
 * Rejects with what the work rejects with, or with the signal's reason.
 */
export async function onceAmongProcesses(path: string, work: () => Promise<void>, signal: AbortSignal): Promise<void> {
  const claim = `${path}.claim`;
  const owner = ownedName("claim");
  for (;;) {
    signal.throwIfAborted();
    if (await exists(path)) return;
    if (await take(claim, owner)) {
      const beating = setInterval(() => void utimes(claim, new Date(), new Date()).catch(() => {}), beat).unref();
      try {
        // Between the look and the claim, another process may have done it.
        if (!(await exists(path))) await work();
        return;
      } finally {
        clearInterval(beating);
        await release(claim, owner);
      }
    }
    const abandoned = await abandonedOwner(claim);
    if (abandoned !== undefined) await release(claim, abandoned);
    else await delay(glance, undefined, { signal }).catch(() => {});
  }
}

/** The name is in the file from the file's beginning on, where the file system has hard links. */
async function take(claim: string, owner: string): Promise<boolean> {
  const own = `${claim}-${owner}`;
  await writeFile(own, owner, { mode: 0o600 });
  try {
    return (
      (await isFirst(link(own, claim))) ??
      (await isFirst(writeFile(claim, owner, { flag: "wx", mode: 0o600 }))) ??
      false
    );
  } finally {
    await rm(own, { force: true });
  }
}

const noHardLinks = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

/** Whether a file was made that nobody had made; undefined: the file system cannot make it so. */
async function isFirst(making: Promise<void>): Promise<boolean | undefined> {
  try {
    await making;
    return true;
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    if (noHardLinks.has(code)) return undefined;
    throw error;
  }
}

/** Removes a claim if it is still this owner's; another process may have taken it over and claimed anew since the look. */
async function release(claim: string, owner: string): Promise<void> {
  const moved = `${claim}-${ownedName("released")}`;
  try {
    await rename(claim, moved);
  } catch {
    return;
  }
  if ((await readFile(moved, "utf8")) !== owner) {
    await link(moved, claim).catch(() => {});
    // Its owner may have finished while the claim was away, and have found none to remove.
    if (await exists(claim.slice(0, -".claim".length))) await rm(claim, { force: true });
  }
  await rm(moved, { force: true });
}

/** The owner of a claim that nobody works on any more; undefined: somebody does, or there is no claim. */
async function abandonedOwner(claim: string): Promise<string | undefined> {
  try {
    const [owner, { mtimeMs }] = await Promise.all([readFile(claim, "utf8"), stat(claim)]);
    return hasEndedOwner(owner) || Date.now() - mtimeMs > longestSilence ? owner : undefined;
  } catch {
    return undefined;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
