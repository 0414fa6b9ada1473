import { replay } from "./builder.ts";
import type { Capture, CaptureStrategy, FailedBuild } from "./capture.ts";
import { debugImageSpec } from "./debug-image.ts";
import type { EngineSession, SecretSource } from "./engine.ts";
import { MelangeError } from "./error.ts";
import type { OnEvent } from "./events.ts";
import type { PreparedExport, Receipt } from "./exporter.ts";
import type { Environment } from "./image.ts";
import { type CaptureRecord, describeExit, type FailureRecord, type StepRecord } from "./record.ts";
import { needlesOf } from "./redaction.ts";

export interface ExportFailureOptions {
  readonly failed: FailedBuild;
  readonly record: FailureRecord;
  /** The failed step's output, without secrets. */
  readonly log: Uint8Array;
  readonly recipe: string;
  readonly workspace: string;
  readonly environment: Pick<Environment, "platform" | "config">;
  readonly session: EngineSession;
  readonly strategy: CaptureStrategy;
  readonly exporter: string;
  readonly prepared: PreparedExport;
  /** Their values are searched for before anything leaves. */
  readonly secrets: SecretSource;
  /** Export in spite of secrets that were found; recorded in the image. */
  readonly allowSecrets: boolean;
  readonly onEvent: OnEvent;
  readonly signal: AbortSignal;
  readonly now: () => Date;
}

export interface ExportedFailure {
  readonly capture: CaptureRecord;
  readonly receipt: Receipt;
  /** The record as the image holds it: of the earlier failure, when running again failed before it got here. */
  readonly record: FailureRecord;
}

/** Capture, search for secrets, compose the image, deliver it. Rejects with `capture`, `secret-found`, `export` or `engine`. */
export async function exportFailure(options: ExportFailureOptions): Promise<ExportedFailure> {
  const { session, strategy, onEvent, signal } = options;
  const again = replay(options);
  const captured = await timed(options, `capture (${strategy.name})`, () =>
    strategy.capture(options.failed, again.context),
  );
  const capture = captureRecord(strategy.name, captured);
  onEvent({ type: "captured", capture });

  const earlier = captured.earlierFailure;
  const earlierStep = earlier?.unit.steps[earlier.step];
  const log = (earlierStep && again.logOf(earlierStep.id)?.bytes()) ?? options.log;
  let record =
    earlierStep && earlier ? failedEarlier(options.record, earlierStep.id, earlier.result.exit) : options.record;

  const hits = await timed(options, "search for secrets", async () => [
    ...(await searchState(options, captured)),
    ...searchText("/.melange2/recipe.yaml", options.recipe, options.secrets),
  ]);
  if (hits.length > 0) {
    if (!options.allowSecrets) throw secretFound(hits);
    record = { ...record, secretsAllowed: hits };
  }

  const spec = debugImageSpec({ ...options, record, capture, log });
  const image = session.image(captured.snapshot, spec);
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

async function searchState(options: ExportFailureOptions, captured: Capture): Promise<readonly string[]> {
  if (options.secrets.names.length === 0) return [];
  return options.session.search([captured.snapshot], options.secrets, { signal: options.signal });
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

async function timed<T>(options: ExportFailureOptions, task: string, work: () => Promise<T>): Promise<T> {
  const started = options.now();
  options.onEvent({ type: "task-started", task, time: started.toISOString() });
  const result = await work();
  options.onEvent({ type: "task-finished", task, duration: options.now().getTime() - started.getTime() });
  return result;
}
