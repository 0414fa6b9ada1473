import type { BuildkitClient, UsageRecord } from "@melange2/buildkit-client";

/** The daemon's records of what ops with this marker left. */
export async function recordsOf(
  client: BuildkitClient,
  marker: string,
  signal: AbortSignal,
): Promise<readonly UsageRecord[]> {
  const records = await client.diskUsage({ filter: [`description~=${marker}`], signal });
  return records.filter(({ type }) => type === "regular");
}

/**
 * Has the daemon forget them, with what was made of them. False: some job still holds one. From one listing, since a record's id changes when the
 * last job lets go of it; and a prune that names none would take all that the daemon has.
 */
export async function pruneRecords(
  client: Pick<BuildkitClient, "diskUsage" | "prune">,
  marker: string,
  signal: AbortSignal,
): Promise<boolean> {
  const all = await client.diskUsage({ signal });
  const own = all.filter(({ type, description }) => type === "regular" && description.includes(marker));
  if (own.length === 0) return true;
  const records = withDescendants(own, all);
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
