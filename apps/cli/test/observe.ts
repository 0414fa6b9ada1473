import { setTimeout as wait } from "node:timers/promises";

/** Waits for a fact. Rejects, naming it, when it does not come about. */
export async function until(fact: () => boolean, what: () => string): Promise<void> {
  for (const deadline = Date.now() + 60_000; !fact(); await wait(10))
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what()}`);
}
