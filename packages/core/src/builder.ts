import type { CaptureContext, FailedBuild } from "./capture.ts";
import type { EngineSession, Exit, RunResult, SecretSource, Snapshot } from "./engine.ts";
import { MelangeError } from "./error.ts";
import type { Tell } from "./events.ts";
import type { Environment } from "./image.ts";
import { ancestryOf, type Plan, type Step, type Unit } from "./plan.ts";
import type { StepRecord, StepState, UnitRecord } from "./record.ts";
import { matcherOf, streamRedactor } from "./redaction.ts";
import { lineReader, type StepLog, type StepLogWriter, stepLog } from "./step-log.ts";
import { runTask } from "./task.ts";

export interface BuildOptions {
  readonly plan: Plan;
  /** Names this build; `[a-z0-9-]+`. */
  readonly id: string;
  readonly session: EngineSession;
  /** By the names in `plan.environments`, composed. */
  readonly environments: Readonly<Record<string, Environment>>;
  readonly secrets: SecretSource;
  readonly tell: Tell;
  /** Called once for each step that ran, when its unit has ended; not for one whose result was cached. */
  readonly onLog?: ((step: Step, log: StepLog) => void) | undefined;
  readonly signal: AbortSignal;
  readonly now: () => Date;
}

/** A step that failed, with the states around it. */
export interface FailedStep {
  readonly failed: FailedBuild;
  readonly step: Step;
  readonly exit: Exit;
  readonly log: StepLog;
}

/** How a build ended, whoever walked through its steps: {@link runPlan}, or a daemon that walks a graph of its own. */
export type BuildOutcome =
  | {
      readonly status: "built";
      /** What each unit left, by the unit's id. */
      readonly states: Readonly<Record<string, Snapshot>>;
      readonly units: readonly UnitRecord[];
    }
  | {
      readonly status: "failed";
      /** The first to happen first. */
      readonly failures: readonly [FailedStep, ...FailedStep[]];
      readonly units: readonly UnitRecord[];
    };

/**
 * Runs the plan's units one after another, each on the state that it starts from, and notes every step. Stops at the first
 * failing step, whose record and states it returns. Rejects with `interrupted` when the signal is aborted between two units, with
 * `environment` when one was not composed, otherwise only when the engine breaks.
 */
export async function runPlan(options: BuildOptions): Promise<BuildOutcome> {
  const { plan } = options;
  const records = new Map(plan.units.map((unit) => [unit.id, outlineOfUnit(unit)]));
  const recorder = unitRecorder({ ...options, again: false, note: (record) => records.set(record.id, record) });
  const starts = new Map<string, Snapshot>();
  const states: Record<string, Snapshot> = {};
  for (const unit of plan.units) {
    refuseInterrupted(options.signal);
    const ancestry = ancestryOf(plan, unit);
    const start = starts.get(ancestry.environment) ?? (await loadEnvironment(options, ancestry.environment));
    starts.set(ancestry.environment, start);
    const before = startOf(unit, start, states);
    const { result, logs } = await recorder.run(unit, before, {});
    if (result.ok) {
      states[unit.id] = result.after;
      continue;
    }
    const step = unit.steps[result.step];
    const log = logs[result.step];
    if (!step || !log) throw new TypeError(`the engine names step ${result.step} of unit ${unit.id}, which it has not`);
    const failed: FailedBuild = {
      id: options.id,
      start,
      completed: ancestry.units,
      unit,
      step: result.step,
      before,
      atFailure: result.atFailure,
    };
    const failure = { failed, step, exit: result.exit, log };
    return { status: "failed", failures: [failure], units: [...records.values()] };
  }
  return { status: "built", states, units: [...records.values()] };
}

function startOf(unit: Unit, environment: Snapshot, states: Readonly<Record<string, Snapshot>>): Snapshot {
  if ("environment" in unit.from) return environment;
  const state = states[unit.from.unit];
  if (state === undefined) throw new TypeError(`unit ${unit.id} starts from ${unit.from.unit}, which has not run`);
  return state;
}

function refuseInterrupted(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw new MelangeError("interrupted", "interrupted between two steps", {
    hint: "Start the build again; finished steps are cached.",
  });
}

async function loadEnvironment(options: BuildOptions, name: string): Promise<Snapshot> {
  const environment = options.environments[name];
  if (!environment) {
    throw new MelangeError("environment", `the plan runs in the environment "${name}", which was not composed`, {
      hint: "Compose one environment for each name in plan.environments.",
    });
  }
  return runTask(options, { id: `load ${name}`, label: "load environment" }, () =>
    options.session.load(environment, { signal: options.signal }),
  );
}

function outlineOfUnit(unit: Unit): UnitRecord {
  return { id: unit.id, purpose: unit.purpose, from: unit.from, steps: unit.steps.map(outline) };
}

function outline(step: Step): StepRecord {
  return {
    id: step.id,
    path: step.path,
    location: step.location,
    label: step.label,
    package: step.package,
    state: "not-run",
    script: step.script,
    ...(step.command === undefined ? {} : { command: step.command }),
    env: step.env,
    secretEnv: step.secretEnv,
    workdir: step.workdir,
    user: step.user,
    mounts: step.mounts,
    ...(step.timeout === undefined ? {} : { timeout: step.timeout }),
  };
}

interface RecorderOptions extends ReplayOptions, Pick<BuildOptions, "onLog"> {
  readonly again: boolean;
  readonly note: (record: UnitRecord) => void;
}

/** Runs units and tells about them: events, logs without secrets, a record of each unit. */
function unitRecorder(options: RecorderOptions) {
  const { session, tell, now, again } = options;
  const matcher = matcherOf(options.secrets);

  async function run(
    unit: Unit,
    before: Snapshot,
    { fresh }: { fresh?: string | undefined },
  ): Promise<{ result: RunResult; logs: readonly StepLogWriter[] }> {
    const observers = unit.steps.map((step) => observe(step));
    const result = await session.run(unit, before, {
      signal: options.signal,
      fresh,
      onOutput: (chunk) => observers[chunk.step]?.output(chunk.stream, chunk.data),
      onStep: (index, event) => (event === "start" ? observers[index]?.start() : observers[index]?.end()),
    });
    const steps = unit.steps.map((step, index): StepRecord => {
      const state = stateOf(result, index);
      const observer = observers[index];
      if (state === undefined || !observer) return outline(step);
      const { started, ended, duration } = observer.finish();
      const exit: Exit | undefined = state === "failed" && !result.ok ? result.exit : { code: 0, reason: "exit" };
      const { log } = observer;
      tell({ type: "step-finished", step: step.id, state, exit, duration, again });
      if (state !== "cached") options.onLog?.(step, log);
      return {
        ...outline(step),
        state,
        started,
        ended,
        exit,
        log: { bytes: log.totalBytes, omitted: log.omittedBytes },
      };
    });
    options.note({ ...outlineOfUnit(unit), before: before.id, ...afterOf(result), steps });
    return { result, logs: observers.map((observer) => observer.log) };
  }

  function observe(step: Step) {
    const log = stepLog();
    const emit = (stream: "stdout" | "stderr") => (line: string) => {
      log.append(line);
      tell({ type: "step-output", step: step.id, stream, text: line.replace(/\r?\n$/, "") });
    };
    const readers = {
      stdout: lineReader(streamRedactor(matcher), emit("stdout")),
      stderr: lineReader(streamRedactor(matcher), emit("stderr")),
    };
    let started: Date | undefined;
    let ended: Date | undefined;
    const start = () => {
      if (started) return;
      started = now();
      tell({ type: "step-started", step: step.id, time: started.toISOString(), again });
    };
    const end = () => {
      ended ??= now();
    };
    return {
      log,
      start,
      end,
      output(stream: "stdout" | "stderr", data: Uint8Array) {
        start();
        readers[stream].write(data);
      },
      finish() {
        start();
        end();
        readers.stdout.end();
        readers.stderr.end();
        const [from, to] = [started ?? now(), ended ?? now()];
        return { started: from.toISOString(), ended: to.toISOString(), duration: to.getTime() - from.getTime() };
      },
    };
  }

  return { run };
}

function stateOf(result: RunResult, index: number): Exclude<StepState, "not-run"> | undefined {
  if (result.ok) return result.cached ? "cached" : "done";
  if (index < result.step) return "done";
  return index === result.step ? "failed" : undefined;
}

function afterOf(result: RunResult): { after?: string } {
  if (result.ok) return { after: result.after.id };
  return "unavailable" in result.atFailure ? {} : { after: result.atFailure.id };
}

export interface Replay {
  readonly context: CaptureContext;
  /** What a step wrote when it ran again, and how its unit went. */
  logOf(step: string): StepLog | undefined;
  recordOf(unit: string): UnitRecord | undefined;
}

/** What it takes to run units again. */
export type ReplayOptions = Pick<BuildOptions, "session" | "secrets" | "tell" | "signal" | "now">;

/** What a capture strategy may run with: the builder's own way of running, its output marked as done again. */
export function replay(options: ReplayOptions): Replay {
  const logs = new Map<string, StepLog>();
  const records = new Map<string, UnitRecord>();
  const onLog = (step: Step, log: StepLog) => void logs.set(step.id, log);
  const recorder = unitRecorder({ ...options, onLog, again: true, note: (record) => records.set(record.id, record) });
  return {
    context: {
      signal: options.signal,
      replay: { run: async (unit, from, how) => (await recorder.run(unit, from, how)).result },
    },
    logOf: (step) => logs.get(step),
    recordOf: (unit) => records.get(unit),
  };
}
