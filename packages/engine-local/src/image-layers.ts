import { createHash } from "node:crypto";
import type { LocalSnapshot } from "./local-snapshot.ts";

/** Docker takes no more in one image. */
const dockerLimit = 125;
const stepLimit = 100;

/** One layer of an image. */
export interface ImagePart {
  /** Names its blobs: the same for the same layers. */
  readonly name: string;
  /** Ids, bottom first; several are merged into one. */
  readonly layers: readonly string[];
}

/** The layers that a state has as an image, its own files aside. */
export interface ImageParts {
  readonly base: readonly ImagePart[];
  readonly steps: readonly ImagePart[];
  /** One line for each of `steps`, for when nobody else has words that fit. */
  readonly words: readonly string[];
}

/** One part for each layer, or for groups of steps' layers where there are too many for Docker. */
export function imageParts(at: LocalSnapshot): ImageParts {
  const steps = at.layers.slice(at.base);
  // One is left for the image's own files.
  const room = Math.max(1, Math.min(stepLimit, dockerLimit - 1 - at.base));
  const size = Math.ceil(steps.length / room);
  const groups = Array.from({ length: size === 0 ? 0 : Math.ceil(steps.length / size) }, (_, index) =>
    steps.slice(index * size, (index + 1) * size),
  );
  return {
    base: at.layers.slice(0, at.base).map((id) => ({ name: id, layers: [id] })),
    steps: groups.map((layers) => ({ name: groupName(layers), layers })),
    words: groups.map((layers, index) =>
      layers.length === 1 ? `step ${index * size + 1}` : `steps ${index * size + 1} to ${index * size + layers.length}`,
    ),
  };
}

function groupName(layers: readonly string[]): string {
  const [only = "", ...others] = layers;
  return others.length === 0 ? only : `group-${createHash("sha256").update(layers.join("\n")).digest("hex")}`;
}
