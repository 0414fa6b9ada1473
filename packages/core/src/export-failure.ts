import { type Replay, replay } from "./builder.ts";
import type { Capture, CaptureStrategy, FailedBuild } from "./capture.ts";
import { debugImageSpec } from "./debug-image.ts";
import type { EngineSession, Exit, SecretSource, Snapshot } from "./engine.ts";
import { MelangeError } from "./error.ts";
import type { OnEvent } from "./events.ts";
import type { PreparedExport, Receipt } from "./exporter.ts";
import type { Environment, ImageSpec } from "./image.ts";
import { type CaptureRecord, describeExit, type FailureRecord, type StepRecord } from "./record.ts";
import { filesWithSecrets } from "./secret-search.ts";

export interface CaptureFailureOptions {
  readonly failed: FailedBuild;
  readonly record: FailureRecord;
  /** The failed step's output, without secrets. */
  readonly log: Uint8Array;
  readonly session: EngineSession;
  readonly strategy: CaptureStrategy;
  readonly secrets: SecretSource;
  readonly onEvent: OnEvent;
  readonly signal: AbortSignal;
  readonly now: () => Date;
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
  const { strategy, onEvent } = options;
  const again = replay(options);
  const captured = await timed(options, `capture (${strategy.name})`, () =>
    strategy.capture(options.failed, again.context),
  );
  const capture = captureRecord(strategy.name, captured, options.restored ?? 0);
  onEvent({ type: "captured", capture });
  const earlier = captured.earlierFailure;
  if (!earlier) return { snapshot: captured.snapshot, capture, record: options.record, log: options.log };
  const step = earlier.unit.steps[earlier.step];
  if (!step)
    throw new TypeError(`${strategy.name} names step ${earlier.step} of unit ${earlier.unit.id}, which it has not`);
  return {
    snapshot: captured.snapshot,
    capture,
    record: failedEarlier(options.record, again, step.id, earlier.result.exit),
    log: again.logOf(step.id)?.bytes() ?? new Uint8Array(),
  };
}

export interface ExportFailureOptions extends CaptureFailureOptions {
  readonly recipe: string;
  readonly workspace: string;
  readonly environment: Pick<Environment, "platform" | "config">;
  readonly exporter: string;
  readonly prepared: PreparedExport;
  /** Export in spite of secrets that were found; recorded in the image. */
  readonly allowSecrets: boolean;
}

export interface ExportedFailure {
  readonly capture: CaptureRecord;
  readonly receipt: Receipt;
  /** As the image holds it. */
  readonly record: FailureRecord;
}

/** Capture, search for secrets, compose the image, deliver it. Rejects with `capture`, `secret-found`, `export` or `engine`. */
export async function exportFailure(options: ExportFailureOptions): Promise<ExportedFailure> {
  const { session, onEvent, signal } = options;
  const captured = await captureFailure(options);
  const { capture, log } = captured;
  const describe = (record: FailureRecord) => debugImageSpec({ ...options, record, capture, log });
  const found = await findSecrets(options, captured.snapshot, describe(captured.record));
  if (found.length > 0 && !options.allowSecrets) throw secretFound(found);
  const record = found.length === 0 ? captured.record : { ...captured.record, secretsAllowed: found };
  const image = session.image(captured.snapshot, describe(record));
  const task = `export to ${options.prepared.destination}`;
  const receipt = await timed(options, task, () =>
    options.prepared.export(image, {
      signal,
      failure: { build: record.build.id, step: record.failure.step },
      onProgress: (done, total) =>
        onEvent({ type: "task-progress", task, done, ...(total === undefined ? {} : { total }) }),
    }),
  );
  onEvent({ type: "exported", exporter: options.exporter, receipt });
  return { capture, receipt, record };
}

/** Paths in the image that hold a secret's value, in the state's layers or in the files that explain it. */
async function findSecrets(
  options: ExportFailureOptions,
  snapshot: Snapshot,
  spec: ImageSpec,
): Promise<readonly string[]> {
  const { session, secrets, signal } = options;
  if (secrets.names.length === 0) return [];
  return timed(options, "search for secrets", async () => [
    ...(await session.search([snapshot], secrets, { signal })),
    ...(await filesWithSecrets(spec.files, secrets)),
  ]);
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

/** The record when the steps before the failed one were run again and one of them failed this time. */
function failedEarlier(record: FailureRecord, again: Replay, step: string, exit: Exit): FailureRecord {
  const index = record.steps.findIndex((other) => other.id === step);
  const steps = record.steps.map((other, position): StepRecord => {
    if (position <= index) return again.recordOf(other.id) ?? other;
    const { started: _s, ended: _e, exit: _x, log: _l, before: _b, after: _a, ...rest } = other;
    return { ...rest, state: "not-run" };
  });
  const message = `${describeExit(exit, record.steps[index]?.timeout)}, when it was run again`;
  return { ...record, steps, failure: { step, exit, message } };
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

async function timed<T>(
  options: Pick<CaptureFailureOptions, "now" | "onEvent">,
  task: string,
  work: () => Promise<T>,
): Promise<T> {
  const started = options.now();
  options.onEvent({ type: "task-started", task, time: started.toISOString() });
  const result = await work();
  options.onEvent({ type: "task-finished", task, duration: options.now().getTime() - started.getTime() });
  return result;
}
