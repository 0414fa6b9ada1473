import { debugDirectory, type ImageSpec } from "@melange2/core";
import { diff, file, local, merge, type State } from "@melange2/llb";
import { baseHistory } from "./base-image.ts";
import { flattened } from "./flattened-state.ts";
import { withHidden, withoutReserved, withRoom } from "./layer-repairs.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";
import type { StateComparison } from "./state-comparison.ts";

/** Docker takes 127 layers in one image, of which some are ours. */
const dockerLimit = 122;

/** The name of the tree that holds an image's own files. */
export const filesTree = "melange2-files";

/** What an image is made of, and a line for each of its layers: without one they would tell the scripts that made them. */
export interface ImageState {
  readonly state: State;
  readonly history: readonly string[];
}

export interface ImageStateOptions {
  readonly comparison: StateComparison;
  /** Whether the daemon merges states. */
  readonly merges: boolean;
  /** No two exports have the same. */
  readonly nonce: string;
}

/** The base's layers, one for each unit, one of what these do not show, one of the image's own files. Too many units are one layer. */
export function imageState(at: BuildkitSnapshot, spec: ImageSpec, options: ImageStateOptions): ImageState {
  const { comparison, merges, nonce } = options;
  const units = unitLayers(at, spec, comparison, merges);
  const hidden = merges && comparison.hidden.length > 0;
  const shown = hidden ? withHidden(units.state, units.from, at, comparison) : units.state;
  const history = [...units.history, ...(hidden ? ["melange2: restored files"] : [])];
  if (spec.files.length === 0) return { state: shown, history };
  const room = comparison.inTheWay ? withRoom(shown, at) : shown;
  return {
    state: withFiles(room, createdOf(spec), nonce),
    history: [
      ...history,
      ...(room === shown ? [] : ["melange2: makes room for its own files"]),
      "melange2: the failure record",
    ],
  };
}

/** What the units left in layers, and `from`, the tree that they are to show. */
function unitLayers(
  at: BuildkitSnapshot,
  spec: ImageSpec,
  { anyReserved }: StateComparison,
  merges: boolean,
): ImageState & { readonly from: State } {
  if (anyReserved) {
    // A layer that holds such a file would hide another, also where a later layer is without it.
    const from = withoutReserved(at);
    return merges ? { ...onBase(at, from), from } : { state: from, from, history: [`base and steps 1 to ${at.units}`] };
  }
  if (at.base.layers.length + at.units >= dockerLimit) return { ...onBase(at, flattened(at.state)), from: at.state };
  const history = [...baseHistory(at.base.layers.length), ...wordsOf(at, spec)];
  return { state: inLayers(at), from: at.state, history };
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

/** The base's layers, and all that the units changed as one. Of states that do not stand on each other the difference is computed, deletions included. */
function onBase({ base, units }: BuildkitSnapshot, tree: State): ImageState {
  const state = merge([base.image ?? base.state, diff(base.state, tree)]);
  return { state, history: [...baseHistory(base.layers.length), `steps 1 to ${units}`] };
}
