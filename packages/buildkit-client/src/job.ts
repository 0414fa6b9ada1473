import { Code } from "@connectrpc/connect";
import type { Connection } from "./connection.ts";
import { type Container, type ContainerOptions, openContainer } from "./container.ts";
import { BuildkitError } from "./error.ts";
import type { Stat } from "./gen/fsutil_pb.ts";
import { LLBBridge } from "./gen/gateway_pb.ts";
import { beginSolve, checkDefinition, explain, type SolveOptions, type SolveResult } from "./solve.ts";
import { permissionsOf, type StatType, typeOf } from "./tree/stat.ts";
import { whole } from "./whole.ts";

/** A result that the daemon holds as long as its job is open. */
export interface Reference {
  readonly id: string;
}

export interface FileInfo {
  /** The last part of its path. */
  readonly name: string;
  readonly type: StatType;
  /** As in chmod(2). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** Of a symlink. */
  readonly target: string;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

/**
 * A build in steps: each `solve` runs what is not yet known and keeps its result. Owned by the caller, who ends it by
 * `finish` or by disposing of it. Every method rejects with a BuildkitError.
 */
export interface Job extends AsyncDisposable {
  readonly ref: string;
  /**
   * Runs the graph. Aborting `signal` kills what runs, in a fraction of a second; the job stays open. A failed vertex
   * fails again, without running, as long as any job that holds it is open.
   */
  solve(definition: Uint8Array, options?: CallOptions): Promise<Reference>;
  /** All of the file, or `length` bytes from `offset`; fewer at its end. More than 16 MiB do not fit into one answer. */
  readFile(at: Reference, path: string, options?: ReadOptions): Promise<Uint8Array>;
  /** Does not follow the last symlink. */
  statFile(at: Reference, path: string, options?: CallOptions): Promise<FileInfo>;
  readDir(at: Reference, path: string, options?: CallOptions): Promise<readonly FileInfo[]>;
  /** A place to run processes in, on a copy of a result: nothing of what they change stays. */
  container(options: ContainerOptions): Promise<Container>;
  /** Ends the job with a result, which its exports take; resolves when they are done. A job whose result is refused stays open. */
  finish(result: JobResult): Promise<SolveResult>;
  /** Ends the job without one, and what runs in it, exports too. Never rejects. */
  close(): Promise<void>;
}

export interface ReadOptions extends CallOptions {
  readonly offset?: number;
  readonly length?: number;
}

export interface JobResult {
  /** undefined: an empty filesystem. */
  readonly reference?: Reference;
  /** For exporters: `containerimage.config` is the image config as JSON. */
  readonly metadata?: Readonly<Record<string, Uint8Array | string>>;
}

/** Makes a gateway request for a job and translates what it throws; `what` names it in messages. */
export type GatewayCall = <T>(
  what: string,
  signal: AbortSignal | undefined,
  request: (options: { headers: Record<string, string>; signal: AbortSignal }) => Promise<T>,
) => Promise<T>;

/** Opens a job. It waits in the daemon, and its session serves, until it is ended. */
export function openJob(connection: Connection, options: SolveOptions): Job {
  const running = beginSolve(connection, {}, options);
  const bridge = connection.client(LLBBridge);
  const headers = { "buildkit-controlapi-buildid": running.ref };
  // Calls to a job that failed to begin would wait for it; its own error is the one to tell.
  const calls = new AbortController();
  let over = false;
  const settled = running.result
    .then(closedError, (error: unknown) => error)
    .then((reason) => {
      over = true;
      calls.abort(reason);
    });
  let finishing: Promise<SolveResult> | undefined;

  const call: GatewayCall = async (what, signal, request) => {
    const known = running.status.failed();
    const either = signal === undefined ? calls.signal : AbortSignal.any([calls.signal, signal]);
    try {
      return await connection.call(what, either, () => request({ headers, signal: either }));
    } catch (error) {
      throw await explain(error, running, what === "solve", known);
    }
  };
  const giveBack = (request: Parameters<typeof bridge.return>[0], options: CallOptions) =>
    connection.call("return", options.signal, () => bridge.return(request, { headers, ...options }));

  return {
    ref: running.ref,
    async solve(definition, { signal } = {}) {
      checkDefinition(definition);
      const { ref, result } = await call("solve", signal, (options) =>
        bridge.solve(
          { Definition: definition, allowResultReturn: true, allowResultArrayRef: true, Evaluate: true },
          options,
        ),
      );
      const id = result?.result.case === "ref" ? result.result.value.id : (result?.result.value ?? ref);
      if (id === "") {
        throw new BuildkitError("request", "solve: the daemon gave no reference", { hint: "The result may be empty." });
      }
      return { id };
    },
    async readFile(at, path, { offset, length, signal } = {}) {
      const Range =
        offset === undefined && length === undefined
          ? {}
          : {
              Range: {
                Offset: whole(`read ${path}: the offset`, offset ?? 0),
                Length: whole(`read ${path}: the length`, length ?? Number.MAX_SAFE_INTEGER),
              },
            };
      const { Data } = await call(`read ${path}`, signal, (options) =>
        bridge.readFile({ Ref: at.id, FilePath: path, ...Range }, options),
      );
      return Data;
    },
    async statFile(at, path, { signal } = {}) {
      const { stat } = await call(`stat ${path}`, signal, (options) =>
        bridge.statFile({ Ref: at.id, Path: path }, options),
      );
      if (stat === undefined)
        throw new BuildkitError("not-found", `stat ${path}: no answer`, { hint: "Check the path." });
      return infoOf(stat);
    },
    async readDir(at, path, { signal } = {}) {
      const { entries } = await call(`list ${path}`, signal, (options) =>
        bridge.readDir({ Ref: at.id, DirPath: path }, options),
      );
      return entries.map(infoOf);
    },
    container: (options) => openContainer(bridge, call, options),
    finish({ reference, metadata = {} }) {
      const bytes = Object.entries(metadata).map(
        ([key, value]) => [key, typeof value === "string" ? new TextEncoder().encode(value) : value] as const,
      );
      const result = { case: "ref", value: { id: reference?.id ?? "" } } as const;
      finishing ??= (async () => {
        try {
          await giveBack({ result: { result, metadata: Object.fromEntries(bytes) } }, { signal: calls.signal });
        } catch (error) {
          // A job that is over already has its own reason, which `result` gives.
          if (!over) {
            finishing = undefined;
            throw error;
          }
        }
        return await running.result;
      })();
      return finishing;
    },
    async close() {
      if (!calls.signal.aborted) {
        // Ending a job does not stop what runs in it; taking the calls back does.
        calls.abort(closedError());
        const stop = () => running.stop(closedError());
        if (finishing !== undefined) stop();
        else giveBack({ error: { code: Code.Canceled, message: "the job was closed" } }, {}).catch(stop);
      }
      await settled;
    },
    async [Symbol.asyncDispose]() {
      await this.close();
    },
  };
}

function closedError(): BuildkitError {
  return new BuildkitError("not-found", "the job is closed", { hint: "Open another one." });
}

function infoOf(stat: Stat): FileInfo {
  return {
    name: stat.path.split("/").at(-1) ?? "",
    type: typeOf(stat),
    mode: permissionsOf(stat),
    uid: stat.uid,
    gid: stat.gid,
    size: Number(stat.size),
    mtime: stat.modTime,
    target: stat.linkname,
  };
}
