import { createHash } from "node:crypto";
import {
  ancestryOf,
  captureFailure,
  describeExit,
  type EngineSession,
  type Environment,
  exportFailure,
  type FailedStep,
  type FailureRecord,
  isMelangeError,
  MelangeError,
  type Plan,
  recordVersion,
  runPlan,
  type SecretSource,
  type Snapshot,
  type Tell,
  type UnitRecord,
} from "@melange2/core";
import type { FailureStore } from "@melange2/records";
import type { EngineChoice } from "../engine/choose-engine.ts";
import type { EnvironmentPackage } from "../environment/packages-environment.ts";
import { exportAgain, type ReadyExport } from "../export/ready-export.ts";
import { takeOutput } from "../output/output.ts";
import { dropBeyondBudget, keepFailure, tellNotNoted } from "./keep-failure.ts";
import type { BuildReport, ExportReport } from "./report.ts";

export interface RunBuildOptions {
  /** Names the build. */
  readonly id: string;
  readonly plan: Plan;
  readonly environments: Readonly<Record<string, Environment>>;
  /** By environment, the packages that were installed in it. */
  readonly packages: Readonly<Record<string, readonly EnvironmentPackage[]>>;
  readonly base: string;
  readonly engine: EngineChoice;
  readonly session: EngineSession;
  readonly store: FailureStore;
  readonly secrets: SecretSource;
  readonly network: boolean;
  readonly toolVersion: string;
  /** Absolute. */
  readonly outDirectory: string;
  /** What happens with a failed state; undefined: it is kept, and not exported. */
  readonly ready: ReadyExport | undefined;
  readonly tell: Tell;
  readonly signal: AbortSignal;
}

/** A plan to its end: its files in the output folder, or its failure kept and, where asked, exported. */
export async function runBuild(options: RunBuildOptions): Promise<BuildReport> {
  const { id, plan, tell, session, signal } = options;
  const started = new Date();
  const logs = new Map<string, Uint8Array>();
  tell({
    type: "build-started",
    time: started.toISOString(),
    source: { kind: plan.source.kind, file: plan.source.file },
    subject: plan.subject,
    engine: options.engine.name,
    steps: plan.units.flatMap((unit) =>
      unit.steps.map(({ id, path, label, package: name, location }) => ({ id, path, label, package: name, location })),
    ),
  });
  const outcome = await runPlan({
    ...options,
    now: () => new Date(),
    onLog: (step, log) => {
      if (log.totalBytes > 0) logs.set(step.id, log.bytes());
    },
  });
  const end = (report: BuildReport): BuildReport => {
    tell({ type: "build-finished", status: report.status, duration: Date.now() - started.getTime() });
    return report;
  };
  const summary = summaryOf(id, plan, outcome.units);
  if (outcome.status === "built") {
    const state = lastBuilt(plan, outcome.states);
    const output = await takeOutput(session, state, plan, options.outDirectory, { tell, signal });
    return end({ ...summary, status: "built", output });
  }

  const [first] = outcome.failures;
  const interrupted = first.exit.reason === "interrupted";
  // The user's Ctrl-C has stopped the step; keeping its state must not be stopped by the same signal.
  const keeping = interrupted ? new AbortController().signal : signal;
  const record = failureRecord(options, started, first, outcome.units);
  const environment = options.environments[ancestryOf(plan, first.failed.unit).environment];
  if (!environment) throw new TypeError("the failed unit's environment was never composed");
  const kept = await keep({ ...options, signal: keeping }, first, record, environment, logs);
  await tellingFailure(options, "older kept builds could not be dropped", () =>
    dropBeyondBudget(id, { ...options, signal: keeping }),
  );
  const exported =
    options.ready && !interrupted
      ? await exportIt(options, options.ready, first, record, environment, kept)
      : undefined;
  const { step } = first;
  return end({
    ...summary,
    status: interrupted ? "interrupted" : "failed",
    failure: {
      step: step.id,
      label: step.label,
      package: step.package,
      path: step.path,
      location: step.location,
      exit: first.exit,
      message: record.failures[0].message,
      lastLines: first.log.lastLines(12),
      kept,
      ...(exported ? { export: exported } : {}),
    },
  });
}

function summaryOf(
  build: string,
  { subject }: Plan,
  units: readonly UnitRecord[],
): Pick<BuildReport, "build" | "package" | "version" | "arch" | "steps"> {
  return {
    build,
    package: subject.name,
    version: subject.version,
    arch: subject.arch,
    steps: units.flatMap((unit) =>
      unit.steps.map(({ id, path, label, package: name, state, started, ended, exit }) => ({
        id,
        path,
        label,
        package: name,
        state,
        ...(started ? { started } : {}),
        ...(ended ? { ended } : {}),
        ...(exit ? { exit } : {}),
      })),
    ),
  };
}

/** What the last unit left that makes something; undefined where there is none. */
function lastBuilt(plan: Plan, states: Readonly<Record<string, Snapshot>>): Snapshot | undefined {
  const last = plan.units.findLast(({ purpose }) => purpose === "build");
  return last && states[last.id];
}

function failureRecord(
  options: RunBuildOptions,
  started: Date,
  { failed, step, exit }: FailedStep,
  units: readonly UnitRecord[],
): FailureRecord {
  const { id, plan } = options;
  const { kind, file, text } = plan.source;
  return {
    format: "melange2-failure-record",
    version: recordVersion,
    build: { id, started: started.toISOString(), ended: new Date().toISOString() },
    tool: { name: "melange2", version: options.toolVersion },
    engine: options.engine.name,
    source: { kind, file, sha256: createHash("sha256").update(text).digest("hex") },
    subject: plan.subject,
    environments: Object.fromEntries(
      Object.entries(options.environments).map(([name, { layers }]) => [
        name,
        {
          layers: layers.map(({ diffId }) => diffId),
          ...(options.packages[name] === undefined ? {} : { packages: options.packages[name] }),
        },
      ]),
    ),
    units,
    failures: [{ unit: failed.unit.id, step: step.id, exit, message: describeExit(exit, step.timeout) }],
    network: options.network,
  };
}

/** The failed step is what the user must hear of: a state that cannot be kept is told beside it. */
async function keep(
  options: RunBuildOptions,
  { failed }: FailedStep,
  record: FailureRecord,
  environment: Environment,
  logs: ReadonlyMap<string, Uint8Array>,
): Promise<boolean> {
  return tellingFailure(options, "the failed state could not be kept", () =>
    keepFailure({ ...options, failed, record, environment, logs }),
  );
}

/** Whether the work succeeded: what goes wrong with kept builds is told beside the build's own failure. */
async function tellingFailure({ tell }: RunBuildOptions, what: string, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!isMelangeError(error) && !isSystemError(error)) throw error;
    const hint = isMelangeError(error) ? error.hint : "Check the room and the rights of melange2's state folder.";
    tell({ type: "notice", level: "error", message: `${what}: ${error.message}`, hint });
    return false;
  }
}

async function exportIt(
  options: RunBuildOptions,
  ready: ReadyExport,
  { failed, log }: FailedStep,
  record: FailureRecord,
  environment: Environment,
  kept: boolean,
): Promise<ExportReport> {
  const { plan } = options;
  const again = kept ? { again: exportAgain(ready) } : {};
  try {
    const { session, secrets, tell, signal } = options;
    const running = { secrets, tell, signal, now: () => new Date() };
    const { strategy } = ready;
    const captured = await captureFailure({ ...running, session, strategy, failed, record, log: log.bytes() });
    const { capture } = captured;
    const { source, workspace } = plan;
    const { receipt } = await exportFailure({
      ...running,
      exporter: ready.exporter.name,
      prepared: ready.prepared,
      allowSecrets: ready.request.allowSecrets,
      captured,
      states: session,
      source,
      workspace,
      environment,
    });
    await options.store
      .addExport(record.build.id, {
        at: new Date().toISOString(),
        exporter: ready.exporter.name,
        location: receipt.location,
        imageId: receipt.imageId,
        capture,
      })
      .catch(kept ? tellNotNoted(record.build.id, tell) : () => {});
    return { ok: true, exporter: ready.exporter.name, receipt, capture };
  } catch (error) {
    const known = isMelangeError(error) ? error : asExportError(error);
    const paths = known.problems.map((problem) => `\n  ${problem.message}`).join("");
    return { ok: false, exporter: ready.exporter.name, message: known.message + paths, hint: known.hint, ...again };
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
