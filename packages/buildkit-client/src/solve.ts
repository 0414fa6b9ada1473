import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Connection } from "./connection.ts";
import { abortedError, BuildkitError, isBuildkitError } from "./error.ts";
import { Control, type SolveRequestSchema } from "./gen/control_pb.ts";
import type { ByteSink } from "./session/file-send.ts";
import { openSession, type Received, type Served, type Session } from "./session/session.ts";
import { followStatus, type StatusEvent, type StatusFollower } from "./status.ts";
import { exitCodeIn, isCutOff } from "./translate.ts";

/** What becomes of the result. `attributes` are the exporter's own: `name`, `push`, `compression`, … */
export type Export =
  | {
      /** One file: `docker` and `oci` archives, or the tree as `tar`. */
      readonly type: "docker" | "oci" | "tar";
      readonly attributes?: Readonly<Record<string, string>>;
      readonly sink: ByteSink;
    }
  | {
      /** The tree, into a directory that is missing or empty. Must be the solve's only export to a directory or sink. */
      readonly type: "local";
      readonly attributes?: Readonly<Record<string, string>>;
      readonly directory: string;
    }
  | {
      /** Stays in the daemon or goes on from there: buildkitd's `image`, a Docker daemon's `moby`. */
      readonly type: "image" | "moby";
      readonly attributes?: Readonly<Record<string, string>>;
    };

/** Makes the graph in the daemon. */
export interface Frontend {
  /** `dockerfile.v0`, which every daemon has, or `gateway.v0` with the attribute `source` for one that is an image. */
  readonly name: string;
  /** `filename`, `target`, `build-arg:NAME` and so on: each frontend's own. */
  readonly attributes?: Readonly<Record<string, string>>;
}

export interface SolveOptions {
  /** What this solve may take from this process; nothing by default. */
  readonly serve?: Served;
  /** Several need daemon 0.13. None: the result is only made, and stays in the daemon's cache. */
  readonly exports?: readonly Export[];
  /** `network.host`, `security.insecure`. */
  readonly entitlements?: readonly string[];
  /** Names the solve; random by default. */
  readonly ref?: string;
  readonly onStatus?: (event: StatusEvent) => void;
  readonly signal?: AbortSignal;
}

export interface SolveResult {
  /** What the exporters tell: `containerimage.digest`, `containerimage.config.digest`. */
  readonly response: Readonly<Record<string, string>>;
}

/** Where daemons stop reading; old ones stop at a quarter of it. */
const largestDefinition = 16 * 1024 * 1024;
const lastStatusMs = 3_000;
const failedVertexMs = 1_000;
/** Characters of a vertex's error that, with all that a daemon adds, may not fit into an answer. */
const largeError = 8 * 1024;

/** A solve that has begun. Whoever began it must await `result`, which settles when all is over and let go. */
export interface RunningSolve {
  readonly ref: string;
  readonly result: Promise<SolveResult>;
  readonly status: StatusFollower;
  readonly session: Session;
  /** Ends it at once, with what runs and the exports; `result` rejects with the reason. */
  stop(reason: BuildkitError): void;
}

/** Begins a solve of a definition or of what a frontend makes; of neither, a job that waits for its gateway calls. */
export function beginSolve(
  connection: Connection,
  { definition, frontend }: { readonly definition?: Uint8Array; readonly frontend?: Frontend },
  options: SolveOptions,
): RunningSolve {
  if (definition !== undefined) checkDefinition(definition);
  if (frontend?.name === "") {
    throw new BuildkitError("request", "build: the frontend has no name", { hint: "Every daemon has dockerfile.v0." });
  }
  if (options.signal?.aborted === true) throw abortedError("solve", options.signal.reason);
  const exports = options.exports ?? [];
  const received = receivedBy(exports);
  const ref = options.ref ?? randomUUID();
  const session = openSession(connection, options.serve ?? {}, received);
  const unwatch = connection.watch();
  const control = connection.client(Control);
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, options.signal]);
  const request: MessageInitShape<typeof SolveRequestSchema> = {
    Ref: ref,
    Session: session.id,
    Entitlements: [...(options.entitlements ?? [])],
    Exporters: exports.map(({ type, attributes }) => ({ Type: type, Attrs: { ...attributes } })),
    ...deprecatedExporter(exports),
    ...(definition === undefined ? {} : { Definition: definition }),
    ...(frontend === undefined ? {} : { Frontend: frontend.name, FrontendAttrs: { ...frontend.attributes } }),
  };
  const solving = connection.call("solve", signal, () => control.solve(request, { signal }));
  const status = followStatus(control, ref, options.onStatus);
  const result = (async () => {
    try {
      const { ExporterResponse } = await solving;
      await status.finish(lastStatusMs);
      return { response: ExporterResponse };
    } catch (error) {
      // An aborted solve may go on to tell of its end for a while; nobody waits for that.
      if (signal.aborted) await status.finish(0).catch(() => {});
      throw await explain(error, { session, status }, true);
    } finally {
      unwatch();
      await status.finish(lastStatusMs).catch(() => {});
      session.close();
    }
  })();
  return { ref, result, status, session, stop: (reason) => stop.abort(reason) };
}

/**
 * The daemon's error with what only this side knows: the failure of what it serves, the vertex of an old daemon. `solving`: what is not
 * found may be what a vertex needs. `known`: how many vertices had failed before it was asked.
 */
export async function explain(
  error: unknown,
  { session, status }: Pick<RunningSolve, "session" | "status">,
  solving: boolean,
  known = 0,
): Promise<unknown> {
  if (!isBuildkitError(error) || error.code === "aborted" || error.code === "connection-lost") return error;
  // What a process exits with is its own doing.
  const failure = error.exitCode === undefined ? session.takeFailure() : undefined;
  if (failure !== undefined) {
    if (isBuildkitError(failure)) {
      const { code, message, hint, cause } = failure;
      return new BuildkitError(code, message, { hint, address: error.address, cause });
    }
    const message = failure instanceof Error ? failure.message : String(failure);
    return new BuildkitError("session", `solve: this side failed: ${message}`, {
      hint: "The daemon did its part; see the cause.",
      address: error.address,
      cause: failure,
    });
  }
  const codes: readonly string[] = ["solve-failed", "request", ...(solving ? ["not-found"] : [])];
  if (error.vertex !== undefined || !codes.includes(error.code)) return error;
  const cutOff = isCutOff(error);
  const vertex = cutOff
    ? ((await status.failedVertex(() => true, failedVertexMs, known)) ??
      (await status.failedVertex((text) => text.length >= largeError, 0)))
    : await status.failedVertex((text) => error.message.includes(text), failedVertexMs);
  if (vertex === undefined) return error;
  return new BuildkitError("solve-failed", cutOff ? `solve: ${vertex.error}` : error.message, {
    hint: "See the log of the failed vertex.",
    address: error.address,
    vertex: vertex.digest,
    exitCode: error.exitCode ?? exitCodeIn(vertex.error),
    cause: error.cause,
  });
}

export function checkDefinition(definition: Uint8Array): void {
  if (definition.length === 0) {
    throw new BuildkitError("request", "solve: the definition is empty", {
      hint: "An empty filesystem cannot be solved; a file op that makes something can.",
    });
  }
  if (definition.length > largestDefinition) {
    throw new BuildkitError("request", `solve: the definition has ${definition.length} bytes, daemons take 16 MiB`, {
      hint: "Copy large files from a local source instead of writing them into the graph.",
    });
  }
}

function receivedBy(exports: readonly Export[]): Received {
  const sinks = new Map<number, ByteSink>();
  const directories: string[] = [];
  exports.forEach((one, index) => {
    if ("sink" in one) sinks.set(index, one.sink);
    if ("directory" in one) directories.push(one.directory);
  });
  if (directories.length > 1 || (directories.length === 1 && sinks.size > 0)) {
    throw new BuildkitError("request", "solve: an export to a directory must be the only one that arrives here", {
      hint: "Solve once for each; the second time everything is cached.",
    });
  }
  return { sinks, directory: directories[0] };
}

/** The one exporter that a daemon before 0.13 reads; a newer one prefers the list. */
function deprecatedExporter(exports: readonly Export[]): MessageInitShape<typeof SolveRequestSchema> {
  const [only] = exports;
  if (only === undefined || exports.length > 1) return {};
  return { ExporterDeprecated: only.type, ExporterAttrsDeprecated: { ...only.attributes } };
}
