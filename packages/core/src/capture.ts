import type { EngineSession, RunResult, Snapshot } from "./engine.ts";
import type { Unit } from "./plan.ts";

/** What a capture strategy sees of a failed build. */
export interface FailedBuild {
  /** Names this failure; also the nonce for runs that must not come from a cache. */
  readonly id: string;
  /** The state the failed unit's environment was loaded as. */
  readonly start: Snapshot;
  /** The units of the same environment that ran before the failed one, in order. */
  readonly completed: readonly Unit[];
  readonly unit: Unit;
  /** Index of the failed step in its unit. */
  readonly step: number;
  /** The state the failed unit started from. */
  readonly before: Snapshot;
  readonly atFailure: Snapshot | { readonly unavailable: string };
}

export interface Capture {
  readonly snapshot: Snapshot;
  /** before: what the failed step started from; before-unit: what its whole unit started from; at-failure: what it left. */
  readonly state: "before" | "before-unit" | "at-failure";
  /** Steps executed again to get here. */
  readonly reexecuted: number;
  /** True only if this IS the tree that the failed step started from, or left. */
  readonly exact: boolean;
  /** The strategy that was asked for, when another one delivered. */
  readonly fallbackFrom?: string;
  /** One sentence for people, where there is something to say: why it fell back, why it is not exact. */
  readonly note?: string;
  /** Set when running again failed earlier than before: that failure is exported and reported instead. */
  readonly earlierFailure?: {
    readonly unit: Unit;
    readonly step: number;
    readonly result: Extract<RunResult, { ok: false }>;
  };
}

export interface CaptureContext {
  /** The only part of the engine a strategy gets. Output goes to the build's progress. */
  readonly replay: {
    run(unit: Unit, from: Snapshot, options: { fresh?: string }): ReturnType<EngineSession["run"]>;
  };
  readonly signal: AbortSignal;
}

/** Chooses, after a failure, which snapshot becomes the image. Stateless. Never throws because a state is missing: it falls back and says so. */
export interface CaptureStrategy {
  readonly name: string;
  readonly contract: 1;
  /** One line for `--help` and listings. */
  readonly summary: string;
  capture(failed: FailedBuild, context: CaptureContext): Promise<Capture>;
}
