import { debugDirectory, type ImageSpec } from "@melange2/core";
import { diff, file, local, merge, type State } from "@melange2/llb";
import { baseHistory } from "./base-image.ts";
import { flattened } from "./flattened-state.ts";
import { type LayerRepairs, repaired, repairHistory } from "./layer-repairs.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";

/** Docker takes 127 layers in one image, of which some are ours. */
const dockerLimit = 122;

/** The name of the tree that holds an image's own files. */
export const filesTree = "melange2-files";

/** What an image is made of, and a line for each of its layers: without one they would tell the scripts that made them. */
export interface ImageState {
  readonly state: State;
  readonly history: readonly string[];
}

/** The base's layers, one for each unit, one of the image's own files. Too many units are one layer. No two exports have the same nonce. */
export function imageState(at: BuildkitSnapshot, spec: ImageSpec, repairs: LayerRepairs, nonce: string): ImageState {
  const units =
    at.base.layers.length + at.units < dockerLimit
      ? { state: inLayers(at), history: [...baseHistory(at.base.layers.length), ...wordsOf(at, spec)] }
      : squashed(at);
  const state = repaired(units.state, at.state, repairs);
  const history = [...units.history, ...repairHistory(repairs)];
  if (spec.files.length === 0) return { state, history };
  return {
    state: withFiles(state, createdOf(spec), nonce),
    history: [...history, "melange2: the failure record"],
  };
}

/** The state with the session's {@link filesTree} over it; `timestamp`, in nanoseconds since 1970, is the files'. */
export function withFiles(state: State, timestamp: bigint, nonce: string): State {
  // Without one hint for all, each export would leave a copy of its files in the daemon. Without a nonce, a daemon that two clients ask at once
  // takes one's files for both.
  const from = local(filesTree, { sharedKeyHint: filesTree, unique: nonce });
  const copy = { type: "copy", from, source: "/", destination: "/", contents: true, timestamp } as const;
  // A step may have left a file or a link of that name, over which nothing can be copied.
  const remove = { type: "remove", path: `/${debugDirectory}`, optional: true } as const;
  return file(state, [remove, copy], { name: "melange2 files" });
}

/** Nanoseconds since 1970. */
export function createdOf({ created }: ImageSpec): bigint {
  return BigInt(Date.parse(created)) * 1_000_000n;
}

function wordsOf(at: BuildkitSnapshot, spec: ImageSpec): readonly string[] {
  if (spec.history.length === at.units) return spec.history;
  return Array.from({ length: at.units }, (_, index) => `step ${index + 1}`);
}

/** The base's own layers, and one for each unit. */
function inLayers({ base, state, units }: BuildkitSnapshot): State {
  if (base.image === undefined) return state;
  // Of states that stand on each other, the difference is the layers between them.
  return units === 0 ? base.image : merge([base.image, diff(base.state, state)]);
}

/** The base's layers, and all that the units changed as one. */
function squashed({ base, state: at, units }: BuildkitSnapshot): ImageState {
  // Of states that do not stand on each other the difference is computed, deletions included.
  const state = merge([base.image ?? base.state, diff(base.state, flattened(at))]);
  return { state, history: [...baseHistory(base.layers.length), `steps 1 to ${units}`] };
}
