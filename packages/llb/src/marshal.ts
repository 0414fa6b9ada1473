import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { DefinitionSchema, type OpMetadataSchema } from "./gen/ops_pb.ts";
import type { State } from "./state.ts";
import { marshalOp, type Vertex } from "./vertex.ts";

/** A graph as a daemon takes it. */
export interface Definition {
  /** A serialized `pb.Definition`, as solve requests carry it and `buildctl build` reads it. Empty for `scratch`. */
  readonly bytes: Uint8Array;
  /** The vertex whose output is the result; undefined for `scratch`. */
  readonly digest: string | undefined;
  /** Inputs before their users, each once. */
  readonly vertices: readonly DefinedVertex[];
}

export interface DefinedVertex {
  /**
   * What status streams and errors of a daemon from 0.11 on show, with exceptions: `ignoreCache` on a vertex that another
   * build is running without it gets a digest of its own, and so do execs behind the daemon's network proxy, sources that
   * its policy changes, and all that stands on them. So tell vertices apart by name.
   */
  readonly digest: string;
  readonly name: string | undefined;
}

/** The graph that makes `state`. The same state always gives the same bytes. */
export function marshal(state: State): Definition {
  if (state.vertex === undefined) return { bytes: new Uint8Array(), digest: undefined, vertices: [] };
  const groups = [...topological(state.vertex).values()];
  const result = marshalOp([{ digest: state.vertex.digest, index: state.output }], { case: undefined }, undefined);
  const definition = create(DefinitionSchema, {
    def: [...groups.map(([vertex]) => vertex.bytes), result],
    metadata: Object.fromEntries(groups.map((same) => [same[0].digest, metadata(same)])),
  });
  return {
    bytes: toBinary(DefinitionSchema, definition),
    digest: state.vertex.digest,
    vertices: groups.map((same) => ({
      digest: same[0].digest,
      name: same.find((vertex) => vertex.options.name !== undefined)?.options.name,
    })),
  };
}

/** Vertices that do the same are one for the daemon, however often they were made. */
type SameVertices = [Vertex, ...Vertex[]];

/** By digest, inputs first. */
function topological(last: Vertex): Map<string, SameVertices> {
  const ordered = new Map<string, SameVertices>();
  const seen = new Set<Vertex>();
  // A stack of our own: a build of thousands of steps is a chain that recursion would not survive.
  const stack: { vertex: Vertex; entered: boolean }[] = [{ vertex: last, entered: false }];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { vertex, entered } = top;
    if (entered) {
      const same = ordered.get(vertex.digest);
      if (same === undefined) ordered.set(vertex.digest, [vertex]);
      else same.push(vertex);
    } else if (!seen.has(vertex)) {
      seen.add(vertex);
      stack.push({ vertex, entered: true });
      for (const input of vertex.inputs.toReversed()) stack.push({ vertex: input, entered: false });
    }
  }
  return ordered;
}

/** Of several that are one: the first name wins, and the cache is ignored if any of them asks for it. */
function metadata(same: SameVertices): MessageInitShape<typeof OpMetadataSchema> {
  const description = Object.assign({}, ...same.toReversed().map(descriptionOf)) as Record<string, string>;
  const group = same.find((vertex) => vertex.options.progressGroup !== undefined)?.options.progressGroup;
  const ignore = same.some(ignoresCache);
  const capabilities = [
    ...same[0].capabilities,
    ...(ignore ? ["meta.ignorecache"] : []),
    ...(Object.keys(description).length === 0 ? [] : ["meta.description"]),
  ];
  return {
    ignoreCache: ignore,
    description,
    caps: Object.fromEntries(capabilities.map((capability) => [capability, true])),
    ...(group === undefined ? {} : { progressGroup: { id: group.id, name: group.name, weak: group.weak ?? false } }),
  };
}

function descriptionOf({ options }: Vertex): Readonly<Record<string, string>> {
  return { ...options.description, ...(options.name === undefined ? {} : { "llb.customname": options.name }) };
}

function ignoresCache(vertex: Vertex): boolean {
  return vertex.options.ignoreCache === true;
}
