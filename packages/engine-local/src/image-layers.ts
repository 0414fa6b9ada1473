import type { LocalSnapshot } from "./local-snapshot.ts";
import type { WorkSpace } from "./work-space.ts";

/** The layers that a state has as an image. */
export interface ImageLayers {
  /** Bottom first. */
  readonly ids: readonly string[];
  /** How many of them are the base's. */
  readonly base: number;
  /** One line for each above the base, where nobody else has words. */
  readonly words: readonly string[];
}

export async function imageLayers(_space: WorkSpace, at: LocalSnapshot, _signal: AbortSignal): Promise<ImageLayers> {
  const above = at.layers.length - at.base;
  return { ids: at.layers, base: at.base, words: Array.from({ length: above }, (_, index) => `step ${index + 1}`) };
}
