import type {
  BuildkitClient,
  FileInfo,
  Job,
  Reference,
  Served,
  StatusEvent,
  VertexLog,
} from "@melange2/buildkit-client";
import { marshal, type State } from "@melange2/llb";

/** The job of a session: what it made stays in the daemon, unpruned, as long as it is open. It is opened when it is first needed. */
export interface BuildingJob {
  /** Makes the state, or finds it: of an op's results the daemon keeps those that are asked for. Rejects as `Job.solve` does. */
  solve(state: State, signal: AbortSignal): Promise<SolvedState>;
  /** Calls `onLog` with the output of the vertex of this name, until it is stopped. */
  watch(name: string, onLog: (log: VertexLog) => void): Watch;
  /** Lets go of everything. The next solve opens another job. Never rejects. */
  close(): Promise<void>;
}

export interface Watch {
  /** Resolves when the daemon has told that the vertex failed, and so all of its output: its answers may come before. */
  readonly failed: Promise<void>;
  stop(): void;
}

interface OpenJob {
  readonly job: Job;
  readonly solved: Map<string, Promise<Reference>>;
}

/** A state that the daemon has, as long as the job is open. */
export interface SolvedState {
  readDir(path: string, signal: AbortSignal): Promise<readonly FileInfo[]>;
  readFile(path: string, signal: AbortSignal, range?: { offset: number; length: number }): Promise<Uint8Array>;
}

export function buildingJob(client: BuildkitClient, serve: Served): BuildingJob {
  const watchers = new Map<string, { onLog(log: VertexLog): void; onFailure(): void }>();
  const names = new Map<string, string>();
  let open: OpenJob | undefined;

  const onStatus = ({ vertices, logs }: StatusEvent) => {
    for (const { digest, name } of vertices) if (watchers.has(name)) names.set(digest, name);
    for (const log of logs) watchers.get(names.get(log.vertex) ?? "")?.onLog(log);
    for (const { name, error } of vertices) if (error !== "") watchers.get(name)?.onFailure();
  };

  return {
    async solve(state, signal) {
      open ??= { job: client.job({ serve, onStatus }), solved: new Map() };
      const { job, solved } = open;
      const key = `${state.vertex?.digest} ${state.output}`;
      const known = solved.get(key);
      const solving = known ?? job.solve(marshal(state).bytes, { signal });
      solved.set(key, solving);
      // One that failed or was stopped is asked for anew.
      const reference = await solving.catch((error: unknown) => {
        solved.delete(key);
        throw error;
      });
      return {
        readDir: (path, signal) => job.readDir(reference, path, { signal }),
        readFile: (path, signal, range = { offset: 0, length: Number.MAX_SAFE_INTEGER }) =>
          job.readFile(reference, path, { ...range, signal }),
      };
    },
    watch(name, onLog) {
      const failed = Promise.withResolvers<void>();
      watchers.set(name, { onLog, onFailure: failed.resolve });
      return { failed: failed.promise, stop: () => void watchers.delete(name) };
    },
    async close() {
      const closing = open;
      open = undefined;
      await closing?.job.close();
    },
  };
}
