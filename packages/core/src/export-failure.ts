import { type Replay, type ReplayOptions, replay } from "./builder.ts";
import type { Capture, CaptureStrategy, FailedBuild } from "./capture.ts";
import { type DebugImageParts, debugImageSpec } from "./debug-image.ts";
import type { Snapshot, StateKeeper } from "./engine.ts";
import { MelangeError } from "./error.ts";
import type { EventBody } from "./events.ts";
import type { PreparedExport, Receipt } from "./exporter.ts";
import type { ImageSpec } from "./image.ts";
import {
  type CaptureRecord,
  describeExit,
  type Failure,
  type FailureRecord,
  type StepRecord,
  type UnitRecord,
} from "./record.ts";
import { filesWithSecrets } from "./secret-search.ts";
import { runTask } from "./task.ts";

export interface CaptureFailureOptions extends ReplayOptions {
  readonly failed: FailedBuild;
  readonly record: FailureRecord;
  /** The failed step's output, without secrets. */
  readonly log: Uint8Array;
  readonly strategy: CaptureStrategy;
  /** Steps that ran again for the states that the strategy is given. */
  readonly restored?: number;
}

export interface CapturedFailure {
  readonly snapshot: Snapshot;
  readonly capture: CaptureRecord;
  /** Of the earlier failure, when running again failed before it got here; so is the log. */
  readonly record: FailureRecord;
  readonly log: Uint8Array;
}

/** Lets the strategy choose or make the state. Rejects with `capture` or `engine`. */
export async function captureFailure(options: CaptureFailureOptions): Promise<CapturedFailure> {
  const { strategy, record, tell } = options;
  const again = replay(options);
  const captured = await runTask(options, { id: "capture", label: `capture (${strategy.name})` }, () =>
    strategy.capture(options.failed, again.context),
  );
  const capture = captureRecord(strategy.name, captured, options.restored ?? 0);
  tell({ type: "captured", capture });
  const earlier = captured.earlierFailure;
  if (!earlier) return { snapshot: captured.snapshot, capture, record, log: options.log };
  const step = earlier.unit.steps[earlier.step];
  if (!step)
    throw new TypeError(`${strategy.name} names step ${earlier.step} of unit ${earlier.unit.id}, which it has not`);
  return {
    snapshot: captured.snapshot,
    capture,
    record: failedEarlier(record, again, { unit: earlier.unit.id, step: step.id, exit: earlier.result.exit }),
    log: again.logOf(step.id)?.bytes() ?? new Uint8Array(),
  };
}

export interface ExportFailureOptions
  extends Pick<ReplayOptions, "secrets" | "tell" | "signal" | "now">,
    Pick<DebugImageParts, "source" | "workspace" | "environment"> {
  /** What {@link captureFailure} chose. */
  readonly captured: CapturedFailure;
  /** An export searches states and makes an image of one; it runs nothing. */
  readonly states: Pick<StateKeeper, "search" | "image">;
  readonly exporter: string;
  readonly prepared: PreparedExport;
  /** Export in spite of secrets that were found; recorded in the image. */
  readonly allowSecrets: boolean;
}

export interface ExportedFailure {
  readonly receipt: Receipt;
  /** As the image holds it. */
  readonly record: FailureRecord;
}

/** Searches a captured state for secrets, composes the image and delivers it. Rejects with `secret-found`, `export` or `engine`. */
export async function exportFailure(options: ExportFailureOptions): Promise<ExportedFailure> {
  const { captured, states, signal, prepared, tell } = options;
  const { build, failures } = captured.record;
  const found = await findSecrets(options, debugImageSpec({ ...options, ...captured }));
  if (found.length > 0 && !options.allowSecrets) throw secretFound(found);
  const record = found.length === 0 ? captured.record : { ...captured.record, secretsAllowed: found };
  const image = states.image(captured.snapshot, debugImageSpec({ ...options, ...captured, record }));
  const label = `export to ${prepared.destination}`;
  const receipt = await runTask(options, { id: "export", label }, (onProgress) =>
    prepared.export(image, { signal, failure: { build: build.id, step: failures[0].step }, onProgress }),
  );
  tell({ type: "exported", exporter: options.exporter, receipt });
  return { receipt, record };
}

/** Paths in the image that hold a secret's value, in the state's layers or in the files that explain it. */
async function findSecrets(options: ExportFailureOptions, spec: ImageSpec): Promise<readonly string[]> {
  const { captured, states, secrets, signal } = options;
  if (secrets.names.length === 0) return [];
  return runTask(options, { id: "search", label: "search for secrets" }, async () => {
    const { paths, compressed } = await states.search([captured.snapshot], secrets, { signal });
    if (compressed > 0) options.tell(notSearched(compressed));
    return [...paths, ...(await filesWithSecrets(spec.files, secrets))];
  });
}

function notSearched(compressed: number): EventBody {
  const files = compressed === 1 ? "1 compressed file" : `${compressed} compressed files`;
  return { type: "notice", level: "info", message: `no secrets were looked for inside ${files}` };
}

function captureRecord(strategy: string, capture: Capture, restored: number): CaptureRecord {
  const { state, exact, fallbackFrom, note } = capture;
  const reexecuted = capture.reexecuted + restored;
  return {
    strategy,
    state,
    reexecuted,
    exact,
    ...(fallbackFrom === undefined ? {} : { fallbackFrom }),
    ...(note === undefined ? {} : { note }),
  };
}

/** The record when the units before the failed one were run again and one of them failed this time. */
function failedEarlier(record: FailureRecord, again: Replay, failed: Omit<Failure, "message">): FailureRecord {
  const index = record.units.findIndex(({ id }) => id === failed.unit);
  const units = record.units.map((unit, position) =>
    position <= index ? (again.recordOf(unit.id) ?? unit) : notRun(unit),
  );
  const step = units[index]?.steps.find(({ id }) => id === failed.step);
  const message = `${describeExit(failed.exit, step?.timeout)}, when it was run again`;
  return { ...record, units, failures: [{ ...failed, message }] };
}

function notRun({ before: _before, after: _after, ...unit }: UnitRecord): UnitRecord {
  return {
    ...unit,
    steps: unit.steps.map(({ started: _s, ended: _e, exit: _x, log: _l, ...step }): StepRecord => {
      return { ...step, state: "not-run" };
    }),
  };
}

function secretFound(paths: readonly string[]): MelangeError {
  return new MelangeError(
    "secret-found",
    `a secret's value would be in the image, in ${paths.length === 1 ? "1 file" : `${paths.length} files`}; nothing was exported`,
    {
      hint: "Remove it from the step, or add --export-allow-secrets if it is meant to be there.",
      problems: paths.map((path) => ({ message: path })),
    },
  );
}
