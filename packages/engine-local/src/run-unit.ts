import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  cacheMountsOf,
  commandOf,
  type Exit,
  type RunOptions,
  type RunResult,
  type Step,
  type Unit,
} from "@melange2/core";
import { bootText, nestedCommand, type Report, secretsText, stepsText } from "./boot-script.ts";
import { cacheKey } from "./cache-key.ts";
import { exitOf, outOfMemoryKills, timedOut, wasInterrupted } from "./exit.ts";
import { isDiskFull, throwIfAborted } from "./foreign-errors.ts";
import { hostMount } from "./host-mount.ts";
import { newLayerId } from "./layer-store.ts";
import { type LocalSnapshot, parentsFor, snapshotAbove } from "./local-snapshot.ts";
import { besideDraft, type NewRoot, newRoot, removeDraft, removePlaced } from "./new-root.ts";
import { type FifoPair, readFifo } from "./output-fifos.ts";
import { launchSandbox, type Sandbox } from "./sandbox.ts";
import { secretValues } from "./secret-values.ts";
import { insideWords, isShortWord } from "./step-command.ts";
import { noteLitter } from "./upkeep-notes.ts";
import type { WorkSpace } from "./work-space.ts";

/** The session's `run`: from the cache, or in a sandbox. */
export async function runUnit(
  space: WorkSpace,
  unit: Unit,
  from: LocalSnapshot,
  options: RunOptions,
): Promise<RunResult> {
  const signal = AbortSignal.any([options.signal, space.options.signal]);
  throwIfAborted(signal);
  const key =
    options.fresh === undefined
      ? cacheKey({ parent: from.id, unit, architecture: process.arch, network: space.options.network })
      : undefined;
  const known = key === undefined ? undefined : space.store.cached(key);
  if (known !== undefined) return { ok: true, after: snapshotAbove(from, known), cached: true };

  const secrets = secretValues(space, [...new Set(unit.steps.flatMap((step) => step.secretEnv))]);
  const mounts = unit.steps.flatMap(cacheMountsOf).filter(firstOfTarget).map(hostMount(space.state));
  const root = await newRoot(space, from, mounts, signal);
  const failure = await runSteps(space, unit, root, secrets, { ...options, signal });

  if (failure !== undefined && !space.options.capture)
    return { ok: false, ...failure, atFailure: { unavailable: "the engine was opened without capture" } };
  const id = newLayerId();
  try {
    space.store.commit(id, root.draft, { parents: parentsFor(from) });
  } catch (error) {
    if (failure === undefined || !isDiskFull(error)) throw error;
    // What the step filled the disk with makes room for what is told of its failure.
    await removeDraft(space, root.draft);
    return { ok: false, ...failure, atFailure: { unavailable: "the disk of the state directory is full" } };
  }
  if (failure !== undefined) return { ok: false, ...failure, atFailure: snapshotAbove(from, id) };
  // Two builds may have run the same unit at once; from here on both stand on the one that was remembered first.
  const kept = key === undefined ? id : space.store.remember(key, id);
  if (key === undefined || kept !== id) noteLitter(space.state);
  return { ok: true, after: snapshotAbove(from, kept), cached: false };
}

interface Failure {
  readonly step: number;
  readonly exit: Exit;
}

async function runSteps(
  space: WorkSpace,
  unit: Unit,
  root: NewRoot,
  secrets: Readonly<Record<string, string>>,
  options: RunOptions,
): Promise<Failure | undefined> {
  const { host } = space;
  const fifos = await space.fifos.take(unit.steps.length);
  const output = fifos.map((pair, step) => readStep(pair, step, options.onOutput));
  const script = besideDraft(root.draft, "sh");
  const steps = unit.steps.map((step, index) => ({
    argv: stepWords(space, step, {
      nestedIn: besideDraft(root.draft, `${index}.user`),
      // Of the processes that the steps before it left, none may look into it while it enters.
      apart: unit.steps.length > 1,
      script: longScript(root, step, index),
    }),
    secrets: step.secretEnv.length > 0,
    ...(fifos[index] as FifoPair),
  }));
  const nested = steps.flatMap(({ argv: [first, file = ""] }) => (first === nestedCommand ? [file] : []));
  const withSecrets = Object.keys(secrets).length > 0;
  const text =
    (withSecrets ? secretsText(host) : "") +
    bootText(host, space.directory, { ...root.plan, nested }) +
    stepsText(steps);
  writeFileSync(script, text, { mode: 0o600 });

  const progress = followSteps(unit.steps, options.onStep, (step) => output[step]?.finishStep());
  const stop = () => progress.stop("interrupted");
  const placed: string[] = [];
  try {
    throwIfAborted(options.signal);
    const sandbox = launchSandbox(host, {
      script,
      network: root.plan.network,
      secrets,
      terminal: "none",
      onReport(report) {
        if (report.event === "placed") placed.push(report.path);
        else progress.onReport(report);
      },
    });
    progress.watch(sandbox);
    options.signal.addEventListener("abort", stop, { once: true });
    await sandbox.finished;
  } finally {
    options.signal.removeEventListener("abort", stop);
    await Promise.all(output.map((one) => one.close()));
    space.fifos.giveBack(fifos);
  }
  await removePlaced(space, root.draft, placed);
  return progress.failure();
}

interface StepPlace {
  readonly nestedIn: string;
  readonly apart: boolean;
  /** Where the script lies inside, where it is no word for an argv. */
  readonly script: string | undefined;
}

function stepWords(space: WorkSpace, step: Step, { script, ...place }: StepPlace): readonly string[] {
  const { env, secretEnv, user, capabilities } = step;
  const argv = script === undefined ? commandOf(step) : ["/bin/sh", script];
  return insideWords(space.host, { argv, env, secretEnv, user, capabilities, ...place });
}

/** A script that is too long for an argv is read from a file in the sandbox's own /dev. */
function longScript(root: NewRoot, step: Step, index: number): string | undefined {
  if (step.command !== undefined || isShortWord(step.script)) return undefined;
  const name = `.melange2-script-${index}`;
  writeFileSync(join(root.plan.devices, name), step.script, { mode: 0o444 });
  return `/dev/${name}`;
}

function readStep(pair: FifoPair, step: number, onOutput: RunOptions["onOutput"]) {
  const readers = [
    readFifo(pair.stdout, (data) => onOutput({ step, stream: "stdout", data })),
    readFifo(pair.stderr, (data) => onOutput({ step, stream: "stderr", data })),
  ];
  const finishStep = () => {
    for (const reader of readers) {
      reader.drain();
      reader.noMoreWriters();
    }
  };
  return {
    /** The step is over; what it left in the background may write on. */
    finishStep,
    async close() {
      for (const reader of readers) reader.noMoreWriters();
      await Promise.all(readers.map((reader) => reader.ended));
    },
  };
}

/** Which step runs, how it ended, and why the sandbox was ended before its time. */
function followSteps(steps: readonly Step[], onStep: RunOptions["onStep"], onEnd: (step: number) => void) {
  let sandbox: Sandbox | undefined;
  let running: number | undefined;
  let over = 0;
  let failed: Failure | undefined;
  let stopped: "timeout" | "interrupted" | undefined;
  let timer: NodeJS.Timeout | undefined;
  const before = outOfMemoryKills();

  const stop = (why: "timeout" | "interrupted") => {
    stopped ??= why;
    sandbox?.kill();
  };
  const end = (step: number) => {
    clearTimeout(timer);
    running = undefined;
    onEnd(step);
    onStep?.(step, "end");
  };
  return {
    stop,
    watch(started: Sandbox) {
      sandbox = started;
    },
    onReport(report: Report) {
      if (report.event === "start") {
        running = report.step;
        const limit = steps[report.step]?.timeout;
        if (limit !== undefined) timer = setTimeout(() => stop("timeout"), limit * 1000);
        onStep?.(report.step, "start");
      } else if (report.event === "end") {
        // A step that ended by itself just before it was stopped keeps its own exit.
        over = report.step + 1;
        if (report.code !== 0)
          failed = { step: report.step, exit: exitOf(report.code, { before, after: outOfMemoryKills() }) };
        end(report.step);
      }
    },
    /** Call it when the sandbox is gone. */
    failure(): Failure | undefined {
      const step = running ?? over;
      if (running !== undefined) end(running);
      if (failed !== undefined) return failed;
      if (step === steps.length) return undefined;
      if (stopped === "timeout") return { step, exit: timedOut };
      if (stopped === "interrupted") return { step, exit: wasInterrupted };
      // Process 1 was killed from outside, and the step with it.
      return { step, exit: exitOf(137, { before, after: outOfMemoryKills() }) };
    },
  };
}

function firstOfTarget(mount: { target: string }, index: number, all: readonly { target: string }[]): boolean {
  return all.findIndex((other) => other.target === mount.target) === index;
}
