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
  noRoom,
  refusals,
  refusedToRun,
  stateGone,
  throwIfAborted,
  translated,
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
  let refused = 0;
  for (;;) {
    const attempt = await attemptUnit(space, unit, from, op, { ...options, signal });
    if (attempt.outcome === "result") return attempt.result;
    await space.job.close();
    throwIfAborted(signal);
    if (attempt.outcome === "refused") {
      // Another client is looking at this step without making it, and its answer holds for everybody until it is done.
      if (++refused === patience.tries) throw stateGone();
      await pause(patience.firstMs * 2 ** refused);
    } else if (!(await forget(space.client, op.marker, signal))) {
      // Another client holds the failed result. Ours is made beside it.
      op = unitOp(from.state, unit, { network, nonce: randomBytes(8).toString("hex") });
    }
  }
}

/** As a shell tells it. */
const sigkill = 137;

type Attempt =
  | { readonly outcome: "result"; readonly result: RunResult }
  /** The failure of an earlier run was found. */
  | { readonly outcome: "stale-failure" }
  /** The daemon was told never to run it, by whoever asked first. */
  | { readonly outcome: "refused" };

async function attemptUnit(
  space: BuildSpace,
  unit: Unit,
  from: BuildkitSnapshot,
  op: UnitOp,
  options: RunOptions,
): Promise<Attempt> {
  const { job, permits, client } = space;
  const doing = `running ${unit.id}`;
  const output = unitOutput(op.marker, unit.steps.length, options);
  const runs: string[] = [];
  const cancel = new AbortController();
  let killing: NodeJS.Timeout | undefined;
  const stop = () => {
    const run = runs.at(-1);
    if (run === undefined) return cancel.abort();
    killing = setTimeout(() => cancel.abort(), stopMs);
    stopUnit(client, from.state, run).catch(() => cancel.abort());
  };
  const endPermit = permits.grant(op.marker, (run) => {
    runs.push(run);
    if (runs.length === 1) options.onStep?.(0, "start");
    if (options.signal.aborted) stop();
  });
  const unwatch = job.watch(op.name, (log) => {
    if (runs.length > 0) output.live(log);
  });
  options.signal.addEventListener("abort", stop, { once: true });
  try {
    const status = await job.solve(op.status, cancel.signal);
    const result = parseUnitResult(await status.readDir(op.statusFolder, cancel.signal));
    const executed = runs.includes(result.run);
    const failed = result.exit.code !== 0;
    if (failed && !executed) return { outcome: "stale-failure" };
    // Of an op's results the daemon keeps those that were asked for.
    if (executed && !failed) job.hold(op.root);
    await Promise.all([
      executed ? output.finish({ status, folder: op.statusFolder, sizes: result.output }, cancel.signal) : undefined,
      executed && !failed ? undefined : job.solve(op.root, cancel.signal),
    ]);
    const run = { marker: op.marker, id: result.run, failed, statusFolder: op.statusFolder };
    const after = snapshotOfRun({ state: op.root, base: from.base, units: from.units + 1, run });
    if (!failed) return { outcome: "result", result: { ok: true, after, cached: !executed } };
    const atFailure = space.options.capture ? after : { unavailable: "the engine was opened without capture" };
    return { outcome: "result", result: { ok: false, step: result.step, exit: result.exit, atFailure } };
  } catch (error) {
    if (cancel.signal.aborted && runs.length === 0) throwIfAborted(cancel.signal);
    if (cancel.signal.aborted)
      return killed(130, "interrupted", "the step did not stop when it was told to and was killed");
    if (refusedToRun(error)) return { outcome: "refused" };
    if (!isBuildkitError(error) || error.exitCode === undefined || runs.length === 0) throw translated(error, doing);
    if (error.exitCode === refusals.missingTools) throw missingTools();
    if (error.exitCode === refusals.noRoom) throw noRoom(client.address);
    const why =
      error.exitCode === sigkill ? "the process that ran the step was killed with it" : "the daemon had no room for it";
    return killed(error.exitCode, "exit", why);
  } finally {
    clearTimeout(killing);
    options.signal.removeEventListener("abort", stop);
    unwatch();
    endPermit();
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
