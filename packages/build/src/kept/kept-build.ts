import {
  type CaptureRecord,
  captureFailure,
  debugImageSpec,
  type EngineSession,
  exportFailure,
  type ImageSpec,
  isMelangeError,
  MelangeError,
  recordedFailure,
  type SecretSource,
  type Snapshot,
  type Step,
  type Tell,
  type Unit,
} from "@melange2/core";
import { failureStore, type StoredFailure } from "@melange2/records";
import { openEngine } from "../engine/open-engine.ts";
import type { ReadyExport } from "../export/ready-export.ts";
import type { BuildHost } from "../host.ts";
import { tellNotNoted } from "../run/keep-failure.ts";
import type { ExportReport } from "../run/report.ts";
import { secretsFromEnv } from "../variables/secrets.ts";
import { openStates } from "./kept-states.ts";

export interface OpenKeptOptions {
  readonly host: BuildHost;
  readonly stored: StoredFailure;
  /** Whether steps may run again for states that are gone. */
  readonly rerun?: boolean;
  readonly tell: Tell;
  readonly signal: AbortSignal;
}

/** A kept build with its engine open again and its states found. */
export interface KeptBuild extends AsyncDisposable {
  readonly stored: StoredFailure;
  readonly step: Step;
  readonly session: EngineSession;
  readonly secrets: SecretSource;
  /** The state that the strategy named by the user chooses, and the files that explain it. */
  capture(
    strategy: string,
  ): Promise<{ readonly snapshot: Snapshot; readonly record: CaptureRecord; readonly spec: ImageSpec }>;
  export(ready: ReadyExport): Promise<Extract<ExportReport, { ok: true }>>;
}

/** Rejects with `state-gone` where its engine has lost the states. */
export async function openKeptBuild(options: OpenKeptOptions): Promise<KeptBuild> {
  const { host, stored, tell, signal } = options;
  const store = failureStore(host.places.builds);
  const { unit, index } = failedUnit(stored);
  const step = unit.steps[index];
  if (!step) throw new TypeError("the stored plan lacks the failed step");
  const secretNames = [...new Set(stored.plan.units.flatMap((one) => one.steps.flatMap((s) => s.secretEnv)))];
  const secrets = secretsFromEnv(secretNames, host.env);
  const session = await openEngine({
    ...options,
    engine: { name: stored.states.engine, options: stored.states.options ?? {} },
    secrets,
    network: stored.record.network,
  });
  const running = { session, secrets, tell, signal, now: () => new Date() };
  const states = { ...running, stored, store, host, unit, step: index };
  const { failed, reexecuted } = await openStates(states, options.rerun ?? false).catch(async (error) => {
    await session[Symbol.asyncDispose]();
    throw error;
  });
  const log = await stored.log(step.id);
  const parts = {
    record: stored.record,
    log,
    source: stored.plan.source,
    workspace: stored.plan.workspace,
    environment: stored.states.environment,
  };
  const common = { ...parts, ...running, failed, restored: reexecuted };
  const captureAndExport = async (ready: ReadyExport) => {
    const captured = await captureFailure({ ...common, strategy: ready.strategy });
    const { receipt } = await exportFailure({
      ...parts,
      ...running,
      exporter: ready.exporter.name,
      prepared: ready.prepared,
      allowSecrets: ready.request.allowSecrets,
      captured,
      states: session,
    });
    return { receipt, capture: captured.capture };
  };
  return {
    stored,
    step,
    session,
    secrets,
    async capture(name) {
      const strategy = await host.parts.capture(name);
      const captured = await captureFailure({ ...common, strategy });
      return {
        snapshot: captured.snapshot,
        record: captured.capture,
        spec: debugImageSpec({ ...parts, record: captured.record, log: captured.log, capture: captured.capture }),
      };
    },
    async export(ready) {
      if (!ready.request.allowSecrets) refuseUnsearchable(secretNames.filter((name) => !secrets.names.includes(name)));
      const { capture, receipt } = await captureAndExport(ready).catch((error: unknown) => {
        throw isMelangeError(error) || signal.aborted ? error : exportBroke(error);
      });
      const exported = {
        at: new Date().toISOString(),
        exporter: ready.exporter.name,
        location: receipt.location,
        imageId: receipt.imageId,
        capture,
      };
      await store.addExport(stored.id, exported).catch(tellNotNoted(stored.id, tell));
      return { ok: true, exporter: ready.exporter.name, receipt, capture };
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

/** What an exporter or a strategy of a plugin may reject with, against its contract. */
function exportBroke(error: unknown): MelangeError {
  const message = error instanceof Error ? error.message : String(error);
  return new MelangeError("export", `the export broke: ${message}`, {
    hint: "Report this to the authors of the exporter or capture strategy.",
    cause: error,
  });
}

/** Values are not kept, and a state cannot be searched for a value that nobody tells. */
function refuseUnsearchable(missing: readonly string[]): void {
  if (missing.length === 0) return;
  throw new MelangeError("usage", `the state cannot be searched for secrets that are not set: ${missing.join(", ")}`, {
    hint: "Set them in your environment as they were for the build, or add --export-allow-secrets.",
  });
}

function failedUnit(stored: StoredFailure): { unit: Unit; index: number } {
  const { failure } = recordedFailure(stored.record);
  const unit = stored.plan.units.find(({ id }) => id === failure.unit);
  const index = unit?.steps.findIndex(({ id }) => id === failure.step) ?? -1;
  if (unit === undefined || index < 0) throw new TypeError(`the plan of build ${stored.id} lacks its failed step`);
  return { unit, index };
}
