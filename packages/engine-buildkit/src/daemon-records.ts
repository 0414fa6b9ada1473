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

/** Has the daemon forget them, with what was made of them. False: some job still holds one. */
export async function pruneRecords(client: BuildkitClient, marker: string, signal: AbortSignal): Promise<boolean> {
  const own = await recordsOf(client, marker, signal);
  if (own.length === 0) return true;
  const records = withDescendants(own, await client.diskUsage({ signal }));
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
