import { lastGood } from "@melange2/capture-last-good";
import {
  type Capture,
  type CaptureContext,
  type CaptureStrategy,
  type FailedBuild,
  isMelangeError,
  MelangeError,
  type Snapshot,
  type Unit,
} from "@melange2/core";

/**
 * Runs everything before the failed step a second time, surely and not from a cache, and captures what that leaves.
 * It is a re-creation, so never `exact` unless there was nothing to run. An earlier step that fails this time is
 * captured and reported instead. When the engine cannot run it all again, it is {@link lastGood}, labelled so.
 */
export const twoPhase: CaptureStrategy = {
  name: "two-phase",
  contract: 1,
  summary: "Runs the steps before the failed one again and takes the state they leave.",
  async capture(failed, context) {
    try {
      return await runAgain(failed, context);
    } catch (error) {
      if (!isMelangeError(error) || !(error.code === "engine" || error.code === "state-gone")) throw error;
      const fallback = await lastGood.capture(failed, context);
      const why = `Running the steps before again was not possible: ${error.message}.`;
      return {
        ...fallback,
        fallbackFrom: "two-phase",
        note: fallback.note === undefined ? why : `${why} ${fallback.note}`,
      };
    }
  },
};

async function runAgain(failed: FailedBuild, { replay, signal }: CaptureContext): Promise<Capture> {
  let snapshot = failed.start;
  let reexecuted = 0;
  for (const unit of unitsToRepeat(failed)) {
    if (signal.aborted) throw interrupted();
    const result = await replay.run(unit, snapshot, { fresh: failed.id });
    if (!result.ok) {
      if (result.exit.reason === "interrupted") throw interrupted();
      return failedEarlier(unit, snapshot, reexecuted, result);
    }
    snapshot = result.after;
    reexecuted += unit.steps.length;
  }
  if (reexecuted === 0) return { snapshot, state: "before", reexecuted, exact: true };
  const steps = reexecuted === 1 ? "1 step" : `${reexecuted} steps`;
  return {
    snapshot,
    state: "before",
    reexecuted,
    exact: false,
    note: `Made by running ${steps} again: times and whatever else changes from run to run may differ from the failed build.`,
  };
}

/** The units before the failed one and, where steps of its own came before the failed step, a unit of just those. */
function unitsToRepeat({ completed, unit, step }: FailedBuild): readonly Unit[] {
  return step === 0 ? completed : [...completed, { ...unit, steps: unit.steps.slice(0, step) }];
}

function failedEarlier(
  unit: Unit,
  before: Snapshot,
  reexecutedBefore: number,
  result: NonNullable<Capture["earlierFailure"]>["result"],
): Capture {
  const earlierFailure = { unit, step: result.step, result };
  const reexecuted = reexecutedBefore + result.step + 1;
  const label = unit.steps[result.step]?.label ?? unit.id;
  const what = `Run again, the build failed earlier than before, in "${label}" with exit code ${result.exit.code}`;
  if (!("unavailable" in result.atFailure)) {
    const note = `${what}; this is what that step left.`;
    return { snapshot: result.atFailure, state: "at-failure", reexecuted, exact: true, note, earlierFailure };
  }
  const first = result.step === 0;
  return {
    snapshot: before,
    state: first ? "before" : "before-unit",
    reexecuted,
    exact: first,
    note: `${what}; this is the state before it, what it left cannot be had: ${result.atFailure.unavailable}.`,
    earlierFailure,
  };
}

function interrupted(): MelangeError {
  return new MelangeError("interrupted", "interrupted while the steps before the failed one ran again", {
    hint: "The failed build itself is kept: export it later with melange2 debug export.",
  });
}
