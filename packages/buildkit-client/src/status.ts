import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import type { Control, StatusResponse } from "./gen/control_pb.ts";

/** What changed since the event before. */
export interface StatusEvent {
  readonly vertices: readonly VertexStatus[];
  readonly logs: readonly VertexLog[];
  readonly transfers: readonly VertexTransfer[];
  readonly warnings: readonly VertexWarning[];
}

/** The state of one vertex, each time all of it. A vertex that runs again starts again. */
export interface VertexStatus {
  readonly digest: string;
  readonly inputs: readonly string[];
  readonly name: string;
  /** That its result was found. No proof that it did not run as well. */
  readonly cached: boolean;
  readonly started: Date | undefined;
  readonly completed: Date | undefined;
  /** Empty: none. */
  readonly error: string;
}

export interface VertexLog {
  readonly vertex: string;
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
  readonly time: Date | undefined;
}

/** Progress inside a vertex: a layer that is pulled, a tree that is sent. */
export interface VertexTransfer {
  readonly id: string;
  readonly vertex: string;
  readonly name: string;
  readonly current: number;
  /** 0: not known. */
  readonly total: number;
  readonly completed: boolean;
}

export interface VertexWarning {
  readonly vertex: string;
  readonly short: string;
  readonly detail: readonly string[];
  readonly url: string;
}

export interface StatusFollower {
  /** How many vertices have failed so far. */
  failed(): number;
  /**
   * The last vertex that failed with such an error, behind the first `known`, waited for as long as `timeoutMs`: errors outrun the status
   * stream.
   */
  failedVertex(
    matches: (error: string) => boolean,
    timeoutMs: number,
    known?: number,
  ): Promise<VertexStatus | undefined>;
  /** Resolves when the stream has ended, cut off after `timeoutMs`. Rejects with what `onStatus` threw. */
  finish(timeoutMs: number): Promise<void>;
}

/** Follows a solve that has been asked for. */
export function followStatus(
  control: Client<typeof Control>,
  ref: string,
  onStatus: ((event: StatusEvent) => void) | undefined,
): StatusFollower {
  const stop = new AbortController();
  const failures: VertexStatus[] = [];
  let over = false;
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const resolve of waiting) resolve();
  };
  let thrown: { error: unknown } | undefined;
  const following = (async () => {
    for await (const response of control.status({ Ref: ref }, { signal: stop.signal })) {
      const event = eventOf(response);
      failures.push(...event.vertices.filter(({ error }) => error !== ""));
      wake();
      try {
        onStatus?.(event);
      } catch (error) {
        thrown ??= { error };
      }
    }
  })()
    // The solve itself tells what went wrong, and better.
    .catch(() => {})
    .finally(() => {
      over = true;
      wake();
    });
  const within = async <T>(timeoutMs: number, promise: Promise<T>, otherwise: T): Promise<T> => {
    const late = Promise.withResolvers<T>();
    const timer = setTimeout(() => late.resolve(otherwise), timeoutMs);
    try {
      return await Promise.race([promise, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  };
  return {
    failed: () => failures.length,
    async failedVertex(matches, timeoutMs, known = 0) {
      const find = () => failures.slice(known).findLast(({ error }) => matches(error));
      const found = new Promise<void>((resolve) => {
        const look = () => {
          if (find() === undefined && !over) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      });
      await within(timeoutMs, found, undefined);
      return find();
    },
    async finish(timeoutMs) {
      await within(timeoutMs, following, undefined);
      stop.abort();
      await following;
      if (thrown !== undefined) throw thrown.error;
    },
  };
}

function eventOf(response: StatusResponse): StatusEvent {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return {
    vertices: response.vertexes.map(({ digest, inputs, name, cached, started, completed, error }) => ({
      digest,
      inputs,
      name,
      cached,
      started: dateOf(started),
      completed: dateOf(completed),
      error,
    })),
    logs: response.logs.map(({ vertex, stream, msg, timestamp }) => ({
      vertex,
      stream: stream === 2 ? "stderr" : "stdout",
      data: msg,
      time: dateOf(timestamp),
    })),
    transfers: response.statuses.map(({ ID, vertex, name, current, total, completed }) => ({
      id: ID,
      vertex,
      name,
      current: Number(current),
      total: Number(total),
      completed: completed !== undefined,
    })),
    warnings: response.warnings.map(({ vertex, short, detail, url }) => ({
      vertex,
      short: text(short),
      detail: detail.map(text),
      url,
    })),
  };
}

export function dateOf(timestamp: Timestamp | undefined): Date | undefined {
  return timestamp === undefined ? undefined : timestampDate(timestamp);
}
