import type { Digest, StringMap } from "./bytes.ts";
import type { Exit } from "./engine.ts";
import type { Location } from "./error.ts";
import type { Mount, Source, Subject, Unit, UnitStart, User } from "./plan.ts";

/** How a step stands at the end of a build. */
export type StepState = "done" | "cached" | "failed" | "not-run";

/** What the builder noted about one step. */
export interface StepRecord {
  readonly id: string;
  readonly path: string;
  readonly location: Location;
  readonly label: string;
  readonly package: string;
  readonly state: StepState;
  readonly script: string;
  readonly command?: readonly string[];
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
}

/** What the builder noted about one unit. */
export interface UnitRecord {
  readonly id: string;
  readonly purpose: Unit["purpose"];
  readonly from: UnitStart;
  /** Snapshot ids of the engine, for people who compare them; absent for a unit that did not run, or whose state could not be had. */
  readonly before?: string;
  readonly after?: string;
  readonly steps: readonly StepRecord[];
}

/** A step that failed, by the ids of its unit and its own, and why in one sentence. */
export interface Failure {
  readonly unit: string;
  readonly step: string;
  readonly exit: Exit;
  readonly message: string;
}

/** What an environment was made of. */
export interface EnvironmentRecord {
  /** Diff ids, bottom layer first. */
  readonly layers: readonly Digest[];
  /** Packages installed in it, where that is known. */
  readonly packages?: readonly PackageRecord[];
}

/** A package of an environment. */
export interface PackageRecord {
  readonly name: string;
  readonly version: string;
  /** The source package that it was built from. */
  readonly origin?: string;
  /** Of its content, as its repository's index gives it, lowercase hex. */
  readonly checksum?: string;
  /** Where it is from; absent: the base brought it. */
  readonly repository?: string;
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
 * The machine-readable account of a failed build, version 2. The schema is published with this package as
 * `failure-record.schema.json`. Holds no secret and, besides `capture`, nothing of the time of an export.
 */
export interface FailureRecord {
  readonly format: "melange2-failure-record";
  readonly version: typeof recordVersion;
  readonly build: { readonly id: string; readonly started: string; readonly ended: string };
  readonly tool: { readonly name: "melange2"; readonly version: string };
  readonly engine: string;
  readonly source: Pick<Source, "kind" | "file"> & { readonly sha256: string };
  readonly subject: Subject;
  /** By name; those that were composed. */
  readonly environments: Readonly<Record<string, EnvironmentRecord>>;
  readonly units: readonly UnitRecord[];
  /** Never empty: the first to happen first. */
  readonly failures: readonly [Failure, ...Failure[]];
  readonly network: boolean;
  /** Set when secrets were found in the state and the user let the export pass. */
  readonly secretsAllowed?: readonly string[];
  readonly capture?: CaptureRecord;
  /** What only the source's kind knows, as JSON. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The version of {@link FailureRecord} that this package writes and reads. */
export const recordVersion = 2;

/** What was delivered where, kept beside the record. */
export interface ExportRecord {
  readonly at: string;
  readonly exporter: string;
  readonly location: string;
  readonly imageId: Digest;
  readonly capture: CaptureRecord;
}

/** A failure of a record with the records of its step and unit. */
export interface RecordedFailure {
  readonly failure: Failure;
  readonly unit: UnitRecord;
  readonly step: StepRecord;
}

/** The failure that an image of this record is of: the first. Throws TypeError where the record does not hold together. */
export function recordedFailure(record: FailureRecord, failure: Failure = record.failures[0]): RecordedFailure {
  const unit = record.units.find(({ id }) => id === failure.unit);
  const step = unit?.steps.find(({ id }) => id === failure.step);
  if (unit === undefined || step === undefined)
    throw new TypeError(`the record of build ${record.build.id} has no step ${failure.step} in unit ${failure.unit}`);
  return { failure, unit, step };
}

/** All steps of a record, in the order of the plan. */
export function recordedSteps(record: Pick<FailureRecord, "units">): readonly StepRecord[] {
  return record.units.flatMap(({ steps }) => steps);
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
