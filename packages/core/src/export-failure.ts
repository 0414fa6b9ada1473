import { replay } from "./builder.ts";
import type { Capture, CaptureStrategy, FailedBuild } from "./capture.ts";
import { debugImageSpec } from "./debug-image.ts";
import type { EngineSession, SecretSource, Snapshot } from "./engine.ts";
import { MelangeError } from "./error.ts";
import type { OnEvent } from "./events.ts";
import type { PreparedExport, Receipt } from "./exporter.ts";
import type { Environment } from "./image.ts";
import { type CaptureRecord, describeExit, type FailureRecord, type StepRecord } from "./record.ts";
import { needlesOf } from "./redaction.ts";

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
  const capture = captureRecord(strategy.name, captured);
  onEvent({ type: "captured", capture });
  const earlier = captured.earlierFailure;
  const step = earlier?.unit.steps[earlier.step];
  if (!earlier || !step) return { snapshot: captured.snapshot, capture, record: options.record, log: options.log };
  return {
    snapshot: captured.snapshot,
    capture,
    record: failedEarlier(options.record, step.id, earlier.result.exit),
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
  const record = await searched(options, captured);
  const image = session.image(captured.snapshot, debugImageSpec({ ...options, record, capture, log }));
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

/** The record, once nothing of what is exported holds a secret, or the user let it pass. */
async function searched(options: ExportFailureOptions, captured: CapturedFailure): Promise<FailureRecord> {
  const { session, secrets, signal } = options;
  if (secrets.names.length === 0) return captured.record;
  const hits = await timed(options, "search for secrets", async () => [
    ...(await session.search([captured.snapshot], secrets, { signal })),
    ...searchText("/.melange2/recipe.yaml", options.recipe, secrets),
  ]);
  if (hits.length === 0) return captured.record;
  if (!options.allowSecrets) throw secretFound(hits);
  return { ...captured.record, secretsAllowed: hits };
}

function captureRecord(strategy: string, capture: Capture): CaptureRecord {
  const { state, reexecuted, exact, fallbackFrom, note } = capture;
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
function failedEarlier(record: FailureRecord, step: string, exit: FailureRecord["failure"]["exit"]): FailureRecord {
  const index = record.steps.findIndex((other) => other.id === step);
  const steps = record.steps.map((other, position): StepRecord => {
    if (position < index) return other;
    if (position === index) return { ...other, state: "failed", exit };
    const { started: _started, ended: _ended, exit: _exit, log: _log, after: _after, ...rest } = other;
    return { ...rest, state: "not-run" };
  });
  const message = `${describeExit(exit, record.steps[index]?.timeout)}, when it was run again`;
  return { ...record, steps, failure: { step, exit, message } };
}

function searchText(path: string, text: string, secrets: SecretSource): readonly string[] {
  const found = secrets.names.some((name) =>
    needlesOf(secrets.get(name) ?? "").some((needle) => text.includes(needle)),
  );
  return found ? [path] : [];
}

function secretFound(paths: readonly string[]): MelangeError {
  return new MelangeError(
    "secret-found",
    `the state holds a secret's value in ${paths.length} files; nothing was exported`,
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
