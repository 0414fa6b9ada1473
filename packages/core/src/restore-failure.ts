import { type ReplayOptions, replay } from "./builder.ts";
import type { FailedBuild } from "./capture.ts";
import type { Snapshot } from "./engine.ts";
import { MelangeError } from "./error.ts";
import { describeExit } from "./record.ts";

/** What is still known of a failed build whose states its engine has lost, some or all. */
export interface LostFailure extends Pick<FailedBuild, "id" | "completed" | "unit" | "step"> {
  readonly start: Snapshot | undefined;
  readonly before: Snapshot | undefined;
  readonly atFailure: FailedBuild["atFailure"] | undefined;
}

export interface RestoreOptions extends ReplayOptions {
  readonly lost: LostFailure;
  /** Loads the environment that the failed unit ran in; called where that state is gone, too. */
  readonly load: () => Promise<Snapshot>;
}

export interface RestoredFailure {
  readonly failed: FailedBuild;
  /** Steps that were executed for it; those that the engine still had are not counted. */
  readonly reexecuted: number;
}

/** How many steps {@link restoreFailure} would execute, at most. */
export function stepsToRestore({ completed, before, atFailure, step }: LostFailure): number {
  const earlier = before === undefined ? completed.reduce((sum, { steps }) => sum + steps.length, 0) : 0;
  return earlier + (atFailure === undefined ? step + 1 : 0);
}

/**
 * Runs again what it takes to have the states of a failed build: the steps before the failed one, and that one. Where it does not fail this
 * time, the state it left then cannot be had. Rejects with `capture` when an earlier step fails.
 */
export async function restoreFailure({ lost, load, ...options }: RestoreOptions): Promise<RestoredFailure> {
  const { context } = replay(options);
  let reexecuted = 0;
  const start = lost.start ?? (await load());
  let before = lost.before ?? start;
  if (lost.before === undefined) {
    for (const unit of lost.completed) {
      const result = await context.replay.run(unit, before, {});
      if (!result.ok) {
        const step = unit.steps[result.step];
        const how = describeExit(result.exit, step?.timeout);
        throw new MelangeError("capture", `"${step?.label}" failed when it was run again: ${how}`, {
          hint: "Build again: this failure is another one.",
        });
      }
      if (!result.cached) reexecuted += unit.steps.length;
      before = result.after;
    }
  }
  if (lost.atFailure !== undefined)
    return { failed: { ...lost, start, before, atFailure: lost.atFailure }, reexecuted };
  const result = await context.replay.run(lost.unit, before, {});
  reexecuted += result.ok ? lost.unit.steps.length : result.step + 1;
  return { failed: { ...lost, start, before, atFailure: atFailureOf(result, lost.step) }, reexecuted };
}

function atFailureOf(
  result: Awaited<ReturnType<RestoreOptions["session"]["run"]>>,
  step: number,
): FailedBuild["atFailure"] {
  if (result.ok) return { unavailable: "the step did not fail when it was run again" };
  return result.step === step ? result.atFailure : { unavailable: "another step failed when they were run again" };
}
