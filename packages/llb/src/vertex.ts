import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Op, OpSchema } from "./gen/ops_pb.ts";
import type { State } from "./state.ts";

/** What the daemon is told about a vertex besides what it does. Not part of its digest, nor of any cache key. */
export interface VertexOptions {
  /** Shown in progress instead of the command or the source's name. Unique names tell vertices apart in status streams. */
  readonly name?: string;
  /** Further texts by key, kept by the daemon as they are. */
  readonly description?: Readonly<Record<string, string>>;
  /** Runs it even if the result is known. From daemon 0.6 on this also empties the op's cache mounts. */
  readonly ignoreCache?: boolean;
  readonly progressGroup?: ProgressGroup;
}

/** Vertices shown as one in progress. */
export interface ProgressGroup {
  readonly id: string;
  readonly name: string;
  /** True: the members are shown by themselves unless something else uses the group. */
  readonly weak?: boolean;
}

export interface Platform {
  /** `linux`. */
  readonly os: string;
  /** Go's names: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly variant?: string;
}

/** One op of the graph, marshalled when it was made: nothing can change it afterwards. */
export interface Vertex {
  /** `sha256:` and 64 hex digits, over `bytes`; the digest that a daemon from 0.11 on computes itself. */
  readonly digest: string;
  readonly bytes: Uint8Array;
  readonly inputs: readonly Vertex[];
  readonly options: VertexOptions;
  /** What a daemon must know to run it; one that does not refuses by name instead of ignoring fields. */
  readonly capabilities: readonly string[];
}

export interface VertexSpec {
  readonly op: Op["op"];
  readonly inputs: readonly State[];
  readonly platform: Platform | undefined;
  readonly options: VertexOptions;
  readonly capabilities: readonly string[];
}

export function createVertex(spec: VertexSpec): Vertex {
  const inputs = spec.inputs.map((state) => ({ digest: digestOf(state), index: state.output }));
  const bytes = marshalOp(inputs, spec.op, spec.platform);
  return {
    digest: sha256(bytes),
    bytes,
    inputs: spec.inputs.flatMap((state) => state.vertex ?? []),
    options: {
      ...(spec.options.name === undefined ? {} : { name: spec.options.name }),
      ...(spec.options.description === undefined ? {} : { description: { ...spec.options.description } }),
      ...(spec.options.ignoreCache === undefined ? {} : { ignoreCache: spec.options.ignoreCache }),
      ...(spec.options.progressGroup === undefined ? {} : { progressGroup: { ...spec.options.progressGroup } }),
    },
    capabilities: [...new Set(spec.capabilities)].sort(),
  };
}

/**
 * Daemons marshal every op again and name it by that digest. They write fields in the order of their numbers but the
 * oneof last, where the generated code would write it in its place; so it is written in two halves.
 */
export function marshalOp(
  inputs: readonly { digest: string; index: number }[],
  op: Op["op"],
  platform: Platform | undefined,
): Uint8Array {
  const head = toBinary(
    OpSchema,
    create(OpSchema, {
      inputs: [...inputs],
      ...(platform === undefined
        ? {}
        : { platform: { OS: platform.os, Architecture: platform.architecture, Variant: platform.variant ?? "" } }),
    }),
  );
  return Buffer.concat([head, toBinary(OpSchema, create(OpSchema, { op }))]);
}

/** Collects the inputs of one op; the same output twice is one input. */
export function createInputs(): { readonly list: State[]; index(state: State): number } {
  const list: State[] = [];
  return {
    list,
    index(state) {
      if (state.vertex === undefined) return -1;
      const known = list.findIndex((one) => digestOf(one) === digestOf(state) && one.output === state.output);
      return known === -1 ? list.push(state) - 1 : known;
    },
  };
}

export function sha256(data: Uint8Array | string): string {
  return `sha256:${createHash("sha256").update(data).digest("hex")}`;
}

function digestOf(state: State): string {
  if (state.vertex === undefined) throw new TypeError("scratch is no input");
  return state.vertex.digest;
}
