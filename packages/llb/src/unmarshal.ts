import { fromBinary } from "@bufbuild/protobuf";
import { LlbError } from "./error.ts";
import { DefinitionSchema, type OpMetadata, OpSchema } from "./gen/ops_pb.ts";
import type { State } from "./state.ts";
import { type Platform, sha256, type Vertex } from "./vertex.ts";

/**
 * The state that {@link marshal} made the bytes of, with the same vertices and digests: a graph that was kept is built on as if it had
 * just been made. Throws an LlbError for what is no definition.
 */
export function unmarshal(bytes: Uint8Array): State {
  const { def, metadata } = parse(() => fromBinary(DefinitionSchema, bytes));
  const vertices = new Map<string, Vertex>();
  const inputsOf = (op: Uint8Array) =>
    parse(() => fromBinary(OpSchema, op)).inputs.map(({ digest, index }) => {
      const vertex = vertices.get(digest);
      if (vertex === undefined) throw notOne(`the op ${digest} is missing, or comes after its user`);
      return { vertex, index };
    });
  for (const op of def.slice(0, -1)) {
    const digest = sha256(op);
    const inputs = inputsOf(op).map(({ vertex }) => vertex);
    vertices.set(digest, { digest, bytes: op, inputs, ...restOf(metadata[digest]) });
  }
  const [result] = inputsOf(def.at(-1) ?? new Uint8Array());
  if (result === undefined) throw notOne("it has no result");
  return { vertex: result.vertex, output: result.index, platform: platformOf(result.vertex) };
}

/** Ops on files and layers have no platform of their own: they take that of what they begin with. */
function platformOf(vertex: Vertex): Platform | undefined {
  const { platform } = parse(() => fromBinary(OpSchema, vertex.bytes));
  if (platform === undefined) return vertex.inputs[0] && platformOf(vertex.inputs[0]);
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
