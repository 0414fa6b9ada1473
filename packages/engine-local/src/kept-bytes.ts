import type { StateRef } from "@melange2/core";
import type { KeptStates } from "./kept-states.ts";
import { layerSizes } from "./layer-sizes.ts";
import type { WorkSpace } from "./work-space.ts";

/** Bytes of the layers that no other kept state stands on. */
export async function keptBytes(
  space: WorkSpace,
  kept: KeptStates,
  ref: StateRef,
  signal: AbortSignal,
): Promise<number> {
  const all = kept.all();
  const name = kept.nameOf(ref);
  const own = (name === undefined ? undefined : all.get(name)) ?? [];
  const others = new Set([...all].filter(([other]) => other !== name).flatMap(([, layers]) => layers));
  const only = own.filter((id) => !others.has(id));
  const sizes = await layerSizes(space.host, space.state, space.store, only, signal);
  return only.reduce((sum, id) => sum + (sizes.get(id) ?? 0), 0);
}
