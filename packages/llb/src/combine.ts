import { create } from "@bufbuild/protobuf";
import { DiffOpSchema, MergeOpSchema } from "./gen/ops_pb.ts";
import { type State, scratch } from "./state.ts";
import { createVertex, type VertexOptions } from "./vertex.ts";

/** What must be laid over `lower` to get `upper`, deletions included. Needs daemon 0.10. */
export function diff(lower: State, upper: State, options: VertexOptions = {}): State {
  if (lower.vertex === undefined) return upper;
  const inputs = upper.vertex === undefined ? [lower] : [lower, upper];
  const vertex = createVertex({
    op: {
      case: "diff",
      value: create(DiffOpSchema, { lower: { input: 0 }, upper: { input: upper.vertex === undefined ? -1 : 1 } }),
    },
    inputs,
    platform: undefined,
    options,
    capabilities: ["diffop"],
  });
  return { vertex, output: 0, platform: upper.platform ?? lower.platform };
}

/** The states laid over each other, later ones above. Nothing is copied. Needs daemon 0.10. */
export function merge(states: readonly State[], options: VertexOptions = {}): State {
  const inputs = states.filter((state) => state.vertex !== undefined);
  const [lowest] = inputs;
  if (lowest === undefined) return scratch;
  if (inputs.length === 1) return lowest;
  const vertex = createVertex({
    op: { case: "merge", value: create(MergeOpSchema, { inputs: inputs.map((_, index) => ({ input: index })) }) },
    inputs,
    platform: undefined,
    options,
    capabilities: ["mergeop"],
  });
  return { vertex, output: 0, platform: lowest.platform };
}
