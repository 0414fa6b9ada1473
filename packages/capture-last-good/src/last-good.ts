import type { Capture, CaptureStrategy, FailedBuild } from "@melange2/core";

/**
 * The state before the failed step. The steps of one unit share a process tree, and an engine keeps states only between
 * units: for a later step of a unit it is the state before the whole unit. Never runs anything.
 */
export const lastGood: CaptureStrategy = {
  name: "last-good",
  contract: 1,
  summary: "The state before the failed step. Runs nothing again.",
  capture: async (failed) => lastGoodState(failed),
};

function lastGoodState({ before, unit, step }: FailedBuild): Capture {
  if (step === 0) return { snapshot: before, state: "before", reexecuted: 0, exact: true };
  const missing = step === 1 ? "1 step that ran" : `${step} steps that ran`;
  return {
    snapshot: before,
    state: "before-unit",
    reexecuted: 0,
    exact: false,
    note: `This is the state before ${unit.id} as a whole: the effects of ${missing} in it before the failed one are missing.`,
  };
}
