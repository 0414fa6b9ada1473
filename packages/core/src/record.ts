import type { Digest, StringMap } from "./bytes.ts";
import type { Exit } from "./engine.ts";
import type { Location } from "./error.ts";
import type { Mount, User } from "./plan.ts";

/** How a step stands at the end of a build. */
export type StepState = "done" | "cached" | "failed" | "not-run";

/** What the builder noted about one step. */
export interface StepRecord {
  readonly id: string;
  readonly unit: string;
  readonly path: string;
  readonly location: Location;
  readonly label: string;
  readonly package: string;
  readonly state: StepState;
  readonly script: string;
  readonly env: StringMap;
  readonly secretEnv: readonly string[];
  readonly workdir: string;
  readonly user: User;
  readonly mounts: readonly Mount[];
  /** Seconds; absent: no limit. */
  readonly timeout?: number;
  /** RFC 3339, UTC. Absent for a step that did not run. */
  readonly started?: string;
  readonly ended?: string;
  readonly exit?: Exit;
  readonly log?: { readonly bytes: number; readonly omitted: number };
  /** Snapshot ids of the engine, for people who compare; what outlives the build is in `states`. */
  readonly before?: string;
  readonly after?: string;
}

/** How the image that carries this record came about; absent in the record kept on the machine. */
export interface CaptureRecord {
  readonly strategy: string;
  readonly state: "before" | "before-unit" | "at-failure";
  readonly reexecuted: number;
  readonly exact: boolean;
  readonly fallbackFrom?: string;
  readonly note?: string;
}

/**
 * The machine-readable account of a failed build, version 1. The schema is published with this package as
 * `failure-record.schema.json`. Holds no secret and, besides `capture`, nothing of the time of an export.
 */
export interface FailureRecord {
  readonly format: "melange2-failure-record";
  readonly version: 1;
  readonly build: { readonly id: string; readonly started: string; readonly ended: string };
  readonly tool: { readonly name: "melange2"; readonly version: string };
  readonly engine: string;
  readonly recipe: { readonly file: string; readonly sha256: string };
  readonly package: { readonly name: string; readonly version: string; readonly epoch: number; readonly arch: string };
  /** The failed step: its id, and why in one sentence. */
  readonly failure: { readonly step: string; readonly exit: Exit; readonly message: string };
  readonly steps: readonly StepRecord[];
  readonly network: boolean;
  /** Set when secrets were found in the state and the user let the export pass. */
  readonly secretsAllowed?: readonly string[];
  readonly capture?: CaptureRecord;
}

/** What was delivered where, kept beside the record. */
export interface ExportRecord {
  readonly at: string;
  readonly exporter: string;
  readonly location: string;
  readonly imageId: Digest;
  readonly capture: CaptureRecord;
}

export function failedStep(record: FailureRecord): StepRecord {
  const found = record.steps.find((step) => step.id === record.failure.step);
  if (!found) throw new TypeError(`the record of build ${record.build.id} has no step ${record.failure.step}`);
  return found;
}

/** `exit status 2`, `timed out after 30 s`: what a person says about the end of a step. */
export function describeExit(exit: Exit, timeout: number | undefined): string {
  switch (exit.reason) {
    case "timeout":
      return timeout === undefined ? "timed out" : `timed out after ${timeout} s`;
    case "oom":
      return "killed: out of memory";
    case "interrupted":
      return "interrupted";
    case "signal":
      return `killed by signal ${exit.code - 128}`;
    case "exit":
      return `exit status ${exit.code}`;
  }
}
