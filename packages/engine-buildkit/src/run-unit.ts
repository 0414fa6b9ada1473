import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { isBuildkitError } from "@melange2/buildkit-client";
import type { RunOptions, RunResult, Unit } from "@melange2/core";
import type { BuildSpace } from "./build-space.ts";
import { forget } from "./daemon-records.ts";
import { asBase } from "./flattened-state.ts";
import {
  engineError,
  missingTools,
  neverKept,
  noRoom,
  refusals,
  refusedToRun,
  startFailure,
  stateGone,
  throwIfAborted,
  withoutShell,
} from "./foreign-errors.ts";
import { exitOf, parseUnitResult } from "./run-result.ts";
import { type BuildkitSnapshot, snapshotOfRun } from "./snapshot.ts";
import { stopUnit } from "./stop-unit.ts";
import { type UnitOp, unitOp } from "./unit-op.ts";
import { unitOutput } from "./unit-output.ts";

/** How often, and first how soon, a step is tried again that another client's job is in the way of. */
const patience = { tries: 5, firstMs: 50 };
/** How long a wrapper that was told to stop may take before its container is killed. */
const stopMs = 8_000;
/** How long the end of the log of a step that failed is waited for. */
const lastLogMs = 1_000;
/** What of the output tells of a container that never started. */
const beginLength = 4096;

const always = new AbortController().signal;

/** The session's `run`: found in the daemon's cache, or executed there. */
export async function runUnit(
  space: BuildSpace,
  unit: Unit,
  start: BuildkitSnapshot,
  options: RunOptions,
): Promise<RunResult> {
  const signal = AbortSignal.any([options.signal, space.options.signal]);
  throwIfAborted(signal);
  requireSecrets(space, unit);
  const from = space.daemon.roomFor(start) ? start : asBase(start);
  const { network } = space.options;
  const nonce = options.fresh === undefined ? undefined : `${options.fresh}.${randomBytes(4).toString("hex")}`;
  let op = unitOp(from.state, unit, { network, nonce });
  if (nonce !== undefined) space.ownRecords.add(op.marker);
  let stale = 0;
  let refused = 0;
  let beside = false;
  for (;;) {
    const attempt = await attemptUnit(space, unit, from, op, { ...options, signal });
    if (attempt.outcome === "result") return attempt.result;
    await space.job.close();
    // Whatever comes of this build: the next one must not take results of two runs for those of one.
    const forgotten = attempt.outcome === "stale" && (await forget(space.client, op.marker, always));
    throwIfAborted(signal);
    if (attempt.outcome === "stale") {
      if (forgotten && ++stale < patience.tries) continue;
    } else {
      // Another client looked for a result that is gone, which holds for everybody until its job ends; or it is one that this stands on.
      if (++refused < patience.tries) {
        await pause(patience.firstMs * 2 ** refused);
        continue;
      }
      if (beside) throw stateGone();
    }
    // Others hold what is in the way. Ours is made beside it.
    op = unitOp(from.state, unit, { network, nonce: randomBytes(8).toString("hex") });
    beside = true;
  }
}

/** As a shell tells them: SIGKILL, and a program that is not there. */
const sigkill = 137;
const notFoundCode = 127;

type Attempt =
  | { readonly outcome: "result"; readonly result: RunResult }
  /** What is left of earlier runs is of no use: a failure, or results that are not of one run. */
  | { readonly outcome: "stale" }
  /** What had to run for it was not to be run. */
  | { readonly outcome: "refused" };

/**
 * The daemon keeps and loses a unit's two results one by one. The root is asked for first: where the unit is executed for it, what it left is
 * of that run if the other result is; where it is not, it is not executed for the other result either.
 */
async function attemptUnit(
  space: BuildSpace,
  unit: Unit,
  from: BuildkitSnapshot,
  op: UnitOp,
  options: RunOptions,
): Promise<Attempt> {
  const { job, permits, client } = space;
  const output = unitOutput(op.marker, unit.steps.length, options);
  const runs: string[] = [];
  const cancel = new AbortController();
  let begin = "";
  let killing: NodeJS.Timeout | undefined;
  const stop = () => {
    const run = runs.at(-1);
    if (run === undefined) return cancel.abort();
    killing = setTimeout(() => cancel.abort(), stopMs);
    stopUnit(client, from.state, run).catch(() => cancel.abort());
  };
  /** The root was there, and nothing was executed for it. */
  let found = false;
  const begun = Promise.withResolvers<void>();
  const limits = unit.steps.map(({ timeout }) => timeout ?? 0);
  const permit = permits.grant(op.marker, limits, (run) => {
    runs.push(run);
    begun.resolve();
    if (runs.length === 1) options.onStep?.(0, "start");
    if (options.signal.aborted) stop();
  });
  const watch = job.watch(op.name, (log) => {
    if (runs.length === 0) return;
    if (begin.length < beginLength) begin += Buffer.from(log.data).toString();
    output.live(log);
  });
  options.signal.addEventListener("abort", stop, { once: true });
  try {
    const root = job.solve(op.root, cancel.signal);
    await Promise.race([root, begun.promise]);
    found = runs.length === 0;
    if (found) permit.end();
    const [status] = await Promise.all([job.solve(op.status, cancel.signal), root]);
    clearTimeout(killing);
    const result = parseUnitResult(await status.readDir(op.statusFolder, cancel.signal));
    const executed = runs.includes(result.run);
    const failed = result.exit.code !== 0;
    if (!executed && (failed || runs.length > 0)) return { outcome: "stale" };
    if (executed) await output.finish({ status, folder: op.statusFolder, sizes: result.output }, cancel.signal);
    const run = { marker: op.marker, id: result.run, failed, statusFolder: op.statusFolder };
    const after = snapshotOfRun({ state: op.root, base: from.base, units: from.units + 1, run });
    if (!failed) return { outcome: "result", result: { ok: true, after, cached: !executed } };
    const atFailure = space.options.capture ? after : { unavailable: "the engine was opened without capture" };
    return { outcome: "result", result: { ok: false, step: result.step, exit: result.exit, atFailure } };
  } catch (error) {
    if (cancel.signal.aborted && runs.length === 0) throwIfAborted(cancel.signal);
    if (cancel.signal.aborted)
      return killed(130, "interrupted", "the step did not stop when it was told to and was killed");
    if (neverKept(error)) throw noRoom(client.address);
    if (refusedToRun(error)) return { outcome: found ? "stale" : "refused" };
    if (!isBuildkitError(error) || error.exitCode === undefined || runs.length === 0) throw error;
    await Promise.race([watch.failed, pause(lastLogMs, undefined, { ref: false })]);
    if (withoutShell(begin)) return killed(notFoundCode, "exit", "the step could not be started without /bin/sh");
    const failure = startFailure(begin);
    if (failure !== undefined) throw failure;
    if (error.exitCode === refusals.missingTools) throw missingTools();
    if (error.exitCode === refusals.noRoom) throw noRoom(client.address);
    const why =
      error.exitCode === sigkill ? "the process that ran the step was killed with it" : "the daemon had no room for it";
    return killed(error.exitCode, "exit", why);
  } finally {
    clearTimeout(killing);
    options.signal.removeEventListener("abort", stop);
    watch.stop();
    permit.end();
  }
}

function killed(code: number, reason: "exit" | "interrupted", unavailable: string): Attempt {
  const exit = reason === "interrupted" ? ({ code, reason } as const) : exitOf(code);
  return { outcome: "result", result: { ok: false, step: 0, exit, atFailure: { unavailable } } };
}

function requireSecrets({ options }: BuildSpace, unit: Unit): void {
  const missing = unit.steps
    .flatMap(({ secretEnv }) => secretEnv)
    .find((name) => options.secrets.get(name) === undefined);
  if (missing === undefined) return;
  throw engineError(
    `the secret ${missing} has no value`,
    `Set it in the environment, as with --secret-env ${missing}.`,
  );
}
