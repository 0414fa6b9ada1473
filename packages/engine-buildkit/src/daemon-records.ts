import { setTimeout as pause } from "node:timers/promises";
import type { BuildkitClient, UsageRecord } from "@melange2/buildkit-client";
import { throwIfAborted, translated } from "./foreign-errors.ts";

type Records = Pick<BuildkitClient, "diskUsage" | "prune">;

/** The daemon's records of what ops with this marker left. */
export async function recordsOf(client: Records, marker: string, signal: AbortSignal): Promise<readonly UsageRecord[]> {
  return ownRecords(await client.diskUsage({ filter: [`description~=${marker}`], signal }), marker);
}

/** A record tells the words of its op; the marker is one of them and never the last, and one with a nonce begins with another. */
function ownRecords(records: readonly UsageRecord[], marker: string): readonly UsageRecord[] {
  return records.filter(({ type, description }) => type === "regular" && description.includes(` ${marker} `));
}

/** How often, and first how soon, it is tried again: a daemon lets go of what a job held a moment after the job has ended. */
const patience = { tries: 5, firstMs: 50 };

/**
 * Has the daemon forget what ops with this marker left, with what was made of it. False: somebody's job holds on to it. Rejects with a
 * MelangeError.
 */
export async function forget(client: Records, marker: string, signal: AbortSignal): Promise<boolean> {
  for (let tried = 1; ; tried++) {
    const gone = await pruneRecords(client, marker, signal).catch((error: unknown) => {
      throw translated(error, "forgetting what a step left");
    });
    if (gone || tried === patience.tries) return gone;
    throwIfAborted(signal);
    await pause(patience.firstMs * 2 ** (tried - 1));
  }
}

/**
 * False: some of it is still held. From one listing, since a record's id changes when the last job lets go of it; and a prune that names
 * none would take all that the daemon has.
 */
async function pruneRecords(client: Records, marker: string, signal: AbortSignal): Promise<boolean> {
  // Listing takes hold of each record for a moment, and a step that finds its cache mount held gets an empty one: those are left out.
  const all = await client.diskUsage({ filter: ["type==regular"], signal });
  const own = ownRecords(all, marker);
  if (own.length === 0) return true;
  const records = withDescendants(own, all);
  // Half of what a step left is of no use, neither to who holds the other half nor to us.
  if (records.some(({ inUse }) => inUse)) return false;
  const pruned = await client.prune({ filter: records.map(({ id }) => `id==${id}`), all: true, signal });
  const gone = new Set(pruned.map(({ id }) => id));
  return records.every(({ id }) => gone.has(id));
}

/** A record stays as long as there is one that stands on it, such as a debug image's own layer. */
function withDescendants(records: readonly UsageRecord[], all: readonly UsageRecord[]): readonly UsageRecord[] {
  const ids = new Set(records.map(({ id }) => id));
  for (let before = -1; before < ids.size; ) {
    before = ids.size;
    for (const { id, parents } of all) if (parents.some((parent) => ids.has(parent))) ids.add(id);
  }
  return all.filter(({ id }) => ids.has(id));
}
