import { createHash } from "node:crypto";
import {
  type BuildOutcome,
  describeExit,
  type EngineSession,
  type Environment,
  exportFailure,
  type FailureRecord,
  isMelangeError,
  MelangeError,
  type OnEvent,
  type Plan,
  runPlan,
  type SecretSource,
} from "@melange2/core";
import { type FailureStore, newBuildId } from "@melange2/records";
import type { EngineRequest } from "./engine-request.ts";
import type { ReadyExport } from "./export-request.ts";
import { dropBeyondBudget, keepFailure, tellNotNoted } from "./keep-failure.ts";
import { takeOutput } from "./output.ts";
import type { BuildReport, ExportReport } from "./report.ts";

export interface RunBuildOptions {
  readonly plan: Plan;
  readonly environments: Readonly<Record<string, Environment>>;
  readonly base: string;
  readonly engine: string;
  readonly engineOptions: EngineRequest["options"];
  readonly session: EngineSession;
  readonly store: FailureStore;
  readonly secrets: SecretSource;
  readonly network: boolean;
  readonly toolVersion: string;
  /** Absolute. */
  readonly outDirectory: string;
  /** What happens with a failed state; undefined: it is kept, and not exported. */
  readonly ready: ReadyExport | undefined;
  readonly onEvent: OnEvent;
  readonly signal: AbortSignal;
}

/** A plan to its end: its files in the output folder, or its failure kept and, where asked, exported. */
export async function runBuild(options: RunBuildOptions): Promise<BuildReport> {
  const { plan, onEvent, session, signal } = options;
  const id = newBuildId(new Date());
  const started = new Date();
  const logs = new Map<string, Uint8Array>();
  onEvent({
    type: "build-started",
    build: id,
    time: started.toISOString(),
    recipe: plan.recipe.file,
    package: plan.package.name,
    version: `${plan.package.version}-r${plan.package.epoch}`,
    arch: plan.arch,
    engine: options.engine,
    steps: plan.units.flatMap((unit) =>
      unit.steps.map(({ id, path, label, package: name, location }) => ({ id, path, label, package: name, location })),
    ),
  });
  const outcome = await runPlan({
    ...options,
    id,
    now: () => new Date(),
    onLog: (step, log) => {
      if (log.totalBytes > 0) logs.set(step.id, log.bytes());
    },
  });
  const end = (report: BuildReport): BuildReport => {
    onEvent({ type: "build-finished", status: report.status, duration: Date.now() - started.getTime() });
    return report;
  };
  const summary = {
    build: id,
    package: plan.package.name,
    version: `${plan.package.version}-r${plan.package.epoch}`,
    arch: plan.arch,
    steps: outcome.steps.map(({ id, path, label, package: name, state, started, ended, exit }) => ({
      id,
      path,
      label,
      package: name,
      state,
      ...(started ? { started } : {}),
      ...(ended ? { ended } : {}),
      ...(exit ? { exit } : {}),
    })),
  };
  if (outcome.status === "built") {
    const state = outcome.states.build;
    const output = state ? await takeOutput(session, state, plan, options.outDirectory, signal) : [];
    return end({ ...summary, status: "built", output });
  }

  const interrupted = outcome.exit.reason === "interrupted";
  // The user's Ctrl-C has stopped the step; keeping its state must not be stopped by the same signal.
  const keeping = interrupted ? new AbortController().signal : signal;
  const record = failureRecord(options, id, started, outcome);
  const environment = options.environments[outcome.failed.failed.environment];
  if (!environment) throw new TypeError("the failed unit's environment was never composed");
  const kept = await keep({ ...options, signal: keeping }, outcome, record, environment, logs);
  await tellingFailure(options, "older kept builds could not be dropped", () =>
    dropBeyondBudget(id, { ...options, signal: keeping }),
  );
  const exported =
    options.ready && !interrupted
      ? await exportIt(options, options.ready, outcome, record, environment, kept)
      : undefined;
  return end({
    ...summary,
    status: interrupted ? "interrupted" : "failed",
    failure: {
      step: outcome.step.id,
      label: outcome.step.label,
      package: outcome.step.package,
      path: outcome.step.path,
      location: outcome.step.location,
      exit: outcome.exit,
      message: record.failure.message,
      lastLines: outcome.log.lastLines(12),
      kept,
      ...(exported ? { export: exported } : {}),
    },
  });
}

type Failed = Extract<BuildOutcome, { status: "failed" }>;

function failureRecord(options: RunBuildOptions, id: string, started: Date, outcome: Failed): FailureRecord {
  const { plan } = options;
  return {
    format: "melange2-failure-record",
    version: 1,
    build: { id, started: started.toISOString(), ended: new Date().toISOString() },
    tool: { name: "melange2", version: options.toolVersion },
    engine: options.engine,
    recipe: { file: plan.recipe.file, sha256: createHash("sha256").update(plan.recipe.text).digest("hex") },
    package: { name: plan.package.name, version: plan.package.version, epoch: plan.package.epoch, arch: plan.arch },
    failure: { step: outcome.step.id, exit: outcome.exit, message: describeExit(outcome.exit, outcome.step.timeout) },
    steps: outcome.steps,
    network: options.network,
  };
}

/** The failed step is what the user must hear of: a state that cannot be kept is told beside it. */
async function keep(
  options: RunBuildOptions,
  outcome: Failed,
  record: FailureRecord,
  environment: Environment,
  logs: ReadonlyMap<string, Uint8Array>,
): Promise<boolean> {
  return tellingFailure(options, "the failed state could not be kept", () =>
    keepFailure({ ...options, outcome, record, environment, logs }),
  );
}

/** Whether the work succeeded: what goes wrong with kept builds is told beside the build's own failure. */
async function tellingFailure({ onEvent }: RunBuildOptions, what: string, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!isMelangeError(error) && !isSystemError(error)) throw error;
    const hint = isMelangeError(error) ? error.hint : "Check the room and the rights of melange2's state folder.";
    onEvent({ type: "notice", level: "error", message: `${what}: ${error.message}`, hint });
    return false;
  }
}

async function exportIt(
  options: RunBuildOptions,
  ready: ReadyExport,
  outcome: Failed,
  record: FailureRecord,
  environment: Environment,
  kept: boolean,
): Promise<ExportReport> {
  const { plan } = options;
  const again = kept ? { again: ["melange2", "debug", "export", record.build.id, ...ready.flags] } : {};
  try {
    const { capture, receipt } = await exportFailure({
      ...options,
      ...ready,
      failed: outcome.failed,
      record,
      log: outcome.log.bytes(),
      recipe: plan.recipe.text,
      workspace: plan.workspace,
      environment,
      now: () => new Date(),
    });
    await options.store
      .addExport(record.build.id, {
        at: new Date().toISOString(),
        exporter: ready.exporter,
        location: receipt.location,
        imageId: receipt.imageId,
        capture,
      })
      .catch(kept ? tellNotNoted(record.build.id, options.onEvent) : () => {});
    return { ok: true, exporter: ready.exporter, receipt, capture };
  } catch (error) {
    const known = isMelangeError(error) ? error : asExportError(error);
    const paths = known.problems.map((problem) => `\n  ${problem.message}`).join("");
    return { ok: false, exporter: ready.exporter, message: known.message + paths, hint: known.hint, ...again };
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === "string";
}

function asExportError(error: unknown): MelangeError {
  const message = error instanceof Error ? error.message : String(error);
  return new MelangeError("export", `the export broke: ${message}`, {
    hint: "The state is kept: try again.",
    cause: error,
  });
}
