import { fromBinary } from "@bufbuild/protobuf";
import { LlbError } from "./error.ts";
import { DefinitionSchema, type Op, type OpMetadata, OpSchema } from "./gen/ops_pb.ts";
import { type State, scratch } from "./state.ts";
import { type Platform, sha256, type Vertex } from "./vertex.ts";

/**
 * The state that {@link marshal} made the bytes of, with the same vertices and digests: a graph that was kept is built on as if it had
 * just been made. Throws an LlbError for what is no definition.
 */
export function unmarshal(bytes: Uint8Array): State {
  if (bytes.length === 0) return scratch;
  // A copy, because the vertices are views of it: the caller's own may change.
  const { def, metadata } = parse(() => fromBinary(DefinitionSchema, new Uint8Array(bytes)));
  const made = new Map<string, State>();
  const read = (bytes: Uint8Array) => {
    const op = parse(() => fromBinary(OpSchema, bytes));
    const inputs = op.inputs.map(({ digest, index }): State => {
      const state = made.get(digest);
      if (state === undefined) throw notOne(`the op ${digest} is missing, or comes after its user`);
      return { ...state, output: index };
    });
    return { op, inputs };
  };
  for (const bytes of def.slice(0, -1)) {
    const digest = sha256(bytes);
    const { op, inputs } = read(bytes);
    const vertex = {
      digest,
      bytes,
      inputs: inputs.flatMap((input) => input.vertex ?? []),
      ...restOf(metadata[digest]),
    };
    made.set(digest, { vertex, output: 0, platform: platformOf(op, inputs) });
  }
  const [result] = read(def.at(-1) ?? new Uint8Array()).inputs;
  if (result === undefined) throw notOne("it has no result");
  return result;
}

/** Ops on files and layers have no platform of their own: they take that of the state that their function takes it of. */
function platformOf({ op, platform }: Op, inputs: readonly State[]): Platform | undefined {
  const of = (input = -1) => inputs[input]?.platform;
  switch (op.case) {
    case "file":
      return of(op.value.actions[0]?.input);
    case "diff":
      return of(op.value.upper?.input) ?? of(op.value.lower?.input);
    case "merge":
      return of(op.value.inputs[0]?.input);
  }
  if (platform === undefined) return undefined;
  const { OS: os, Architecture: architecture, Variant: variant } = platform;
  return { os, architecture, ...(variant === "" ? {} : { variant }) };
}

function restOf(metadata: OpMetadata | undefined): Pick<Vertex, "options" | "capabilities"> {
  if (metadata === undefined) return { options: {}, capabilities: [] };
  const { "llb.customname": name, ...description } = metadata.description;
  const group = metadata.progressGroup;
  return {
    options: {
      ...(name === undefined ? {} : { name }),
      ...(Object.keys(description).length === 0 ? {} : { description }),
      ...(metadata.ignoreCache ? { ignoreCache: true } : {}),
      ...(group === undefined ? {} : { progressGroup: { id: group.id, name: group.name, weak: group.weak } }),
    },
    capabilities: Object.keys(metadata.caps)
      .filter((capability) => !capability.startsWith("meta."))
      .sort(),
  };
}

function parse<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw notOne(error instanceof Error ? error.message : String(error));
  }
}

function notOne(problem: string): LlbError {
  return new LlbError("unmarshal", `this is no definition: ${problem}`, "Give the bytes that marshal made.");
}
