import type { Capture, CaptureStrategy, FailedBuild } from "@melange2/core";

/** Runs the failed step once more and takes what it leaves: shows whether the step fails every time. */
const again: CaptureStrategy = {
  name: "again",
  contract: 1,
  summary: "Runs the failed step once more and takes what it leaves",
  async capture(failed, { replay, signal }) {
    let result: Awaited<ReturnType<typeof replay.run>>;
    try {
      // `fresh`: really executed, not taken from a cache.
      result = await replay.run(failed.unit, failed.before, { fresh: failed.id });
    } catch (error) {
      if (signal.aborted) throw error;
      return withoutRunning(failed, 0, `The step could not be run again: ${error}.`);
    }
    const reexecuted = result.ok ? failed.unit.steps.length : result.step + 1;
    if (!result.ok && result.exit.reason === "interrupted") return withoutRunning(failed, reexecuted, "Interrupted.");
    if (result.ok) return withoutRunning(failed, reexecuted, "The step succeeded when it was run again.");
    if ("unavailable" in result.atFailure) return withoutRunning(failed, reexecuted, result.atFailure.unavailable);
    return {
      snapshot: result.atFailure,
      state: "at-failure",
      reexecuted,
      exact: false,
      note: "The step was run again; this is what it left the second time.",
      // Another step of the same unit failed this time: that failure is shown and recorded instead.
      ...(result.step === failed.step ? {} : { earlierFailure: { unit: failed.unit, step: result.step, result } }),
    };
  },
};

/** What is there without it: the state before the step or, where steps share a process tree, before the first of them. */
function withoutRunning({ before, step }: FailedBuild, reexecuted: number, note: string): Capture {
  const state = step === 0 ? "before" : "before-unit";
  return { snapshot: before, state, reexecuted, exact: state === "before", fallbackFrom: "again", note };
}

export default again;
