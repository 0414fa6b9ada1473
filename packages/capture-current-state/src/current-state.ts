import { lastGood } from "@melange2/capture-last-good";
import type { CaptureStrategy } from "@melange2/core";

/** What the failed step left, its partial effects included. Never runs anything; without that state it is {@link lastGood}, labelled so. */
export const currentState: CaptureStrategy = {
  name: "current-state",
  contract: 1,
  summary: "What the failed step left, partial effects included; else the state before it. Runs nothing again.",
  async capture(failed, context) {
    const { atFailure } = failed;
    if (!("unavailable" in atFailure)) return { snapshot: atFailure, state: "at-failure", reexecuted: 0, exact: true };
    const fallback = await lastGood.capture(failed, context);
    const why = `What the failed step left cannot be had: ${atFailure.unavailable}.`;
    return {
      ...fallback,
      fallbackFrom: "current-state",
      note: fallback.note === undefined ? why : `${why} ${fallback.note}`,
    };
  },
};
