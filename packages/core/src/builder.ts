import type { CaptureContext, FailedBuild } from "./capture.ts";
import type { EngineSession, Exit, RunResult, SecretSource, Snapshot } from "./engine.ts";
import { MelangeError } from "./error.ts";
import type { OnEvent } from "./events.ts";
import type { Environment } from "./image.ts";
import type { Plan, Step, Unit } from "./plan.ts";
import type { StepRecord, StepState } from "./record.ts";
import { allNeedles, streamRedactor } from "./redaction.ts";
import { lineReader, type StepLog, type StepLogWriter, stepLog } from "./step-log.ts";

export interface BuildOptions {
  readonly plan: Plan;
  /** Names this build; `[a-z0-9-]+`. */
  readonly id: string;
  readonly session: EngineSession;
  /** By the names in `plan.environments`, composed. */
  readonly environments: Readonly<Record<string, Environment>>;
  readonly secrets: SecretSource;
  readonly onEvent: OnEvent;
  /** Called once for each step that ran, when its unit has ended; not for one whose result was cached. */
  readonly onLog?: ((step: Step, log: StepLog) => void) | undefined;
  readonly signal: AbortSignal;
  readonly now: () => Date;
}

export type BuildOutcome =
  | {
      readonly status: "built";
      /** The last state of each environment. */
      readonly states: Readonly<Record<string, Snapshot>>;
      readonly steps: readonly StepRecord[];
    }
  | {
      readonly status: "failed";
      readonly failed: FailedBuild;
      readonly exit: Exit;
      readonly step: Step;
      readonly log: StepLog;
      readonly steps: readonly StepRecord[];
    };

/**
 * Walks the plan, one unit after another, each on the state that the unit before it left, and notes every step. Stops at the first
 * failing step, whose record and states it returns. Rejects with `interrupted` when the signal is aborted between two units, with
 * `environment` when one was not composed, otherwise only when the engine breaks.
 */
export async function runPlan(options: BuildOptions): Promise<BuildOutcome> {
  const { plan } = options;
  const notes = new Map<string, StepRecord>();
  for (const unit of plan.units) for (const step of unit.steps) notes.set(step.id, outline(unit, step));
  const recorder = stepRecorder({ ...options, again: false, note: (record) => notes.set(record.id, record) });

  const starts = new Map<string, Snapshot>();
  const states: Record<string, Snapshot> = {};
  const done: Unit[] = [];
  for (const unit of plan.units) {
    refuseInterrupted(options.signal);
    const before = states[unit.environment] ?? (await loadEnvironment(options, unit.environment));
    if (!starts.has(unit.environment)) starts.set(unit.environment, before);
    const { result, logs } = await recorder.run(unit, before, {});
    if (result.ok) {
      states[unit.environment] = result.after;
      done.push(unit);
      continue;
    }
    const step = unit.steps[result.step];
    const log = logs[result.step];
    if (!step || !log) throw new TypeError(`the engine names step ${result.step} of unit ${unit.id}, which it has not`);
    return {
      status: "failed",
      failed: {
        id: options.id,
        start: starts.get(unit.environment) ?? before,
        completed: done.filter((other) => other.environment === unit.environment),
        failed: unit,
        step: result.step,
        before,
        atFailure: result.atFailure,
      },
      exit: result.exit,
      step,
      log,
      steps: [...notes.values()],
    };
  }
  return { status: "built", states, steps: [...notes.values()] };
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
  const started = options.now();
  const task = "load environment";
  options.onEvent({ type: "task-started", task, time: started.toISOString() });
  const snapshot = await options.session.load(environment, { signal: options.signal });
  options.onEvent({ type: "task-finished", task, duration: options.now().getTime() - started.getTime() });
  return snapshot;
}

function outline(unit: Unit, step: Step): StepRecord {
  return {
    id: step.id,
    unit: unit.id,
    path: step.path,
    location: step.location,
    label: step.label,
    package: step.package,
    state: "not-run",
    script: step.script,
    env: step.env,
    secretEnv: step.secretEnv,
    workdir: step.workdir,
    user: step.user,
    mounts: step.mounts,
    ...(step.timeout === undefined ? {} : { timeout: step.timeout }),
  };
}

interface RecorderOptions extends Pick<BuildOptions, "session" | "secrets" | "onEvent" | "onLog" | "signal" | "now"> {
  readonly again: boolean;
  readonly note: (record: StepRecord) => void;
}

/** Runs units and tells about them: events, logs without secrets, a note for each step. */
function stepRecorder(options: RecorderOptions) {
  const { session, onEvent, now, again } = options;
  const needles = allNeedles(options.secrets);

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
    unit.steps.forEach((step, index) => {
      const state = stateOf(result, index);
      const observer = observers[index];
      if (state === undefined || !observer) return;
      const times = observer.finish();
      const exit: Exit | undefined = state === "failed" && !result.ok ? result.exit : { code: 0, reason: "exit" };
      const log = observer.log;
      onEvent({ type: "step-finished", step: step.id, state, exit, duration: times.duration, again });
      options.note({
        ...outline(unit, step),
        state,
        started: times.started,
        ended: times.ended,
        exit,
        log: { bytes: log.totalBytes, omitted: log.omittedBytes },
        before: before.id,
        ...afterOf(result),
      });
      if (state !== "cached") options.onLog?.(step, log);
    });
    return { result, logs: observers.map((observer) => observer.log) };
  }

  function observe(step: Step) {
    const log = stepLog();
    const emit = (stream: "stdout" | "stderr") => (line: string) => {
      log.append(line);
      onEvent({ type: "step-output", step: step.id, stream, text: line.replace(/\r?\n$/, "") });
    };
    const readers = {
      stdout: lineReader(streamRedactor(needles), emit("stdout")),
      stderr: lineReader(streamRedactor(needles), emit("stderr")),
    };
    let started: Date | undefined;
    let ended: Date | undefined;
    const start = () => {
      if (started) return;
      started = now();
      onEvent({ type: "step-started", step: step.id, time: started.toISOString(), again });
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
  /** What a step wrote when it ran again, and how it went. */
  logOf(step: string): StepLog | undefined;
  recordOf(step: string): StepRecord | undefined;
}

/** What a capture strategy may run with: the builder's own way of running, its output marked as done again. */
export function replay(options: Pick<BuildOptions, "session" | "secrets" | "onEvent" | "signal" | "now">): Replay {
  const logs = new Map<string, StepLog>();
  const notes = new Map<string, StepRecord>();
  const onLog = (step: Step, log: StepLog) => void logs.set(step.id, log);
  const recorder = stepRecorder({ ...options, onLog, again: true, note: (record) => notes.set(record.id, record) });
  return {
    context: {
      signal: options.signal,
      replay: { run: async (unit, from, how) => (await recorder.run(unit, from, how)).result },
    },
    logOf: (step) => logs.get(step),
    recordOf: (step) => notes.get(step),
  };
}
