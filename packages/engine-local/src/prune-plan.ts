/** A layer as pruning sees it. */
export interface PrunableLayer {
  readonly id: string;
  readonly parents: readonly string[];
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly lastUsed: number;
  /** A later build may find it. */
  readonly reusable: boolean;
}

/**
 * Which layers go: none that a kept state stands on, and of the others what nobody can find and then the longest unused, until the rest fits into the
 * budget. A layer never stays without the ones it stands on: it could not be found again. The last used stays whatever it takes, with all that it
 * stands on, unless nothing may stay: else a large build would begin anew each time.
 */
export function layersToPrune(
  layers: readonly PrunableLayer[],
  pinned: ReadonlySet<string>,
  budgetBytes: number,
): readonly PrunableLayer[] {
  const byId = new Map(layers.map((layer) => [layer.id, layer]));
  const stays = new Set([...pinned].flatMap((id) => [id, ...ancestors(byId, id)]));
  let left = budgetBytes;
  let some = budgetBytes === 0;
  for (const layer of [...layers].sort((a, b) => b.lastUsed - a.lastUsed)) {
    const needed = [layer.id, ...ancestors(byId, layer.id)].filter((id) => !stays.has(id));
    if (!needed.every((id) => byId.get(id)?.reusable)) continue;
    const cost = needed.reduce((sum, id) => sum + (byId.get(id)?.bytes ?? 0), 0);
    if (cost > left && some) continue;
    some = true;
    left -= cost;
    for (const id of needed) stays.add(id);
  }
  return layers.filter(({ id }) => !stays.has(id));
}

function ancestors(layers: ReadonlyMap<string, PrunableLayer>, id: string): readonly string[] {
  const found = new Set<string>();
  const pending = [...(layers.get(id)?.parents ?? [])];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    pending.push(...(layers.get(next)?.parents ?? []));
  }
  return [...found];
}
