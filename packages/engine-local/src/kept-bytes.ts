import type { StateRef } from "@melange2/core";
import type { KeptStates } from "./kept-states.ts";
import { layerSizes } from "./layer-sizes.ts";
import type { WorkSpace } from "./work-space.ts";

/** Bytes of the layers that these states stand on and no other kept state does. */
export async function keptBytes(
  space: WorkSpace,
  kept: KeptStates,
  refs: readonly StateRef[],
  signal: AbortSignal,
): Promise<number> {
  const names = new Set(refs.map(kept.nameOf));
  const all = [...kept.all()];
  const layersOf = (own: boolean) => all.flatMap(([name, layers]) => (names.has(name) === own ? layers : []));
  const others = new Set(layersOf(false));
  const only = layersOf(true).filter((id) => !others.has(id));
  const sizes = await layerSizes(space.host, space.state, space.store, only, signal);
  return [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
}
