import type { Bytes } from "./bytes.ts";
import type { Finding } from "./finding.ts";
import type { DebugImage, Environment, ImageFile, ImageSpec, Target } from "./image.ts";
import type { CacheMount, Unit } from "./plan.ts";

/** An immutable filesystem state, opaque; only the session that made it understands it. */
export interface Snapshot {
  /** Unique in the session, for logs and comparisons. */
  readonly id: string;
}

/** A snapshot that outlives its session: JSON, stored in the build's directory. */
export interface StateRef {
  readonly engine: string;
  readonly [key: string]: string | number | boolean | readonly string[];
}

/** Secrets by name. Values leave it only into a process's environment or a search's needles. */
export interface SecretSource {
  readonly names: readonly string[];
  get(name: string): string | undefined;
}

/** How a step's process ended. */
export interface Exit {
  /** 0-255; 128 + n for signal n, 124 for a timeout, 137 for an out-of-memory kill, 130 for an interrupt. */
  readonly code: number;
  readonly reason: "exit" | "signal" | "timeout" | "oom" | "interrupted";
}

export interface OutputChunk {
  /** Index in the unit. */
  readonly step: number;
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
}

export type RunResult =
  | {
      readonly ok: true;
      readonly after: Snapshot;
      readonly cached: boolean;
    }
  | {
      readonly ok: false;
      /** Index in the unit of the step that failed. */
      readonly step: number;
      readonly exit: Exit;
      readonly atFailure: Snapshot | { readonly unavailable: string };
    };

export interface RunOptions {
  readonly signal: AbortSignal;
  /** Set: the same commands, surely executed, their results kept apart under this word. */
  readonly fresh?: string | undefined;
  readonly onOutput: (chunk: OutputChunk) => void;
  /** Called as each step of the unit starts and, where the engine can tell, ends. */
  readonly onStep?: ((step: number, event: "start" | "end") => void) | undefined;
}

/** A terminal for {@link EngineSession.enter}: the process inherits the standard streams, or gets `input` and its output goes to them. */
export interface Tty {
  readonly interactive: boolean;
}

export interface EnterOptions {
  readonly signal: AbortSignal;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly user: { readonly uid: number; readonly gid: number };
  /** Those of the step; a folder that is no longer there is left out. */
  readonly mounts: readonly Pick<CacheMount, "source" | "target">[];
  /** Laid over the scratch copy: the same `/.melange2` that an exported image has. */
  readonly files: readonly ImageFile[];
  /** Secrets for the process's environment, by name. */
  readonly secretEnv: readonly string[];
  readonly tty: Tty;
}

export interface EngineOptions {
  /** False: failed states need not be kept, where that is cheaper. */
  readonly capture: boolean;
  readonly secrets: SecretSource;
  /** False: steps see a loopback interface and nothing else. */
  readonly network: boolean;
  readonly signal: AbortSignal;
  /** Warnings of the engine while it works. */
  readonly onFinding?: ((finding: Finding) => void) | undefined;
}

export interface EngineCapabilities {
  /** Whether the state a failing step left can be had at all. */
  readonly atFailure: boolean;
  readonly mtime: "ns" | "s";
  readonly claims: readonly Target["kind"][];
}

/** What runs units. Every method rejects with `engine` when the engine itself breaks, with `interrupted` on an aborted signal. */
export interface UnitRunner {
  /** Moves only layers that the engine lacks. */
  load(environment: Environment, options: { signal: AbortSignal }): Promise<Snapshot>;
  /**
   * Runs the unit's steps in order in one process tree on a copy of `from`, which never changes. A failing step is a result,
   * not an error; so is an abort of `signal` while a step runs (exit reason `interrupted`, state kept where the engine can).
   */
  run(unit: Unit, from: Snapshot, options: RunOptions): Promise<RunResult>;
}

/** What a search for secrets found, and where it could not look. */
export interface SearchResult {
  /** Absolute paths, sorted, each once. */
  readonly paths: readonly string[];
  /** Files that {@link isCompressed} knows: nobody looked inside. */
  readonly compressed: number;
}

/** What keeps states and looks into them; it never runs a step. Its methods reject as {@link UnitRunner}'s do. */
export interface StateKeeper {
  /**
   * A tar of what is at `path` (absolute), as `tar -C DIRNAME -cf - BASENAME` makes it: a file or a whole folder under its own name,
   * `.` for the root; owners, modes, xattrs kept. Sockets are not in it, or are empty files: an engine that can
   * name them tells them by `onFinding`. Rejects with `not-found` where there is nothing.
   */
  read(at: Snapshot, path: string, options: { signal: AbortSignal }): Bytes;
  /** Looks for secrets' values, in any form that redaction masks, in any layer of these states, where the data is. */
  search(states: readonly Snapshot[], needles: SecretSource, options: { signal: AbortSignal }): Promise<SearchResult>;
  /** A description; nothing moves yet. */
  image(at: Snapshot, spec: ImageSpec): DebugImage;
  /** Pins the state as well as the engine can, until the reference is dropped. */
  keep(at: Snapshot, options: { signal: AbortSignal }): Promise<StateRef>;
  /** undefined: gone. Never runs a step. */
  find(ref: StateRef, options: { signal: AbortSignal }): Promise<Snapshot | undefined>;
  /** Forgets what `keep` pinned. Unknown references are not an error. */
  drop(ref: StateRef, options: { signal: AbortSignal }): Promise<void>;
  /**
   * Drops what was kept and is not among these references, where whoever kept it is gone: a process was killed before it wrote the reference
   * down. For an engine whose kept states nobody else cleans up.
   */
  dropStrays?(known: readonly StateRef[], options: { signal: AbortSignal }): Promise<void>;
  /** Bytes that dropping all of these would free, about; nothing is counted for what is gone or what the engine cannot tell. */
  keptBytes(refs: readonly StateRef[], options: { signal: AbortSignal }): Promise<number>;
  /** A process on a scratch copy; the kept state stays as it was. */
  enter?(at: Snapshot, options: EnterOptions): Promise<Exit>;
}

/**
 * One build's use of an engine, in both roles. The caller owns it; snapshots and images end with it: export before dispose.
 */
export interface EngineSession extends UnitRunner, StateKeeper, AsyncDisposable {
  readonly can: EngineCapabilities;
}

export interface Engine {
  readonly name: string;
  /** What the host or daemon lacks, with advice. Changes nothing. */
  check(options: { signal: AbortSignal }): Promise<readonly Finding[]>;
  open(options: EngineOptions): Promise<EngineSession>;
}

export const noSecrets: SecretSource = { names: [], get: () => undefined };
