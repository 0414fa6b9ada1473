import type { CaptureStrategy } from "@melange2/core";
import { describe, expect, test } from "vitest";
import { captureSuite } from "./capture-suite.ts";
import { runSuite } from "./run-suite.ts";

const honest: CaptureStrategy = {
  name: "honest",
  contract: 1,
  summary: "The state before.",
  capture: async ({ before, step }) =>
    step === 0
      ? { snapshot: before, state: "before", reexecuted: 0, exact: true }
      : { snapshot: before, state: "before-unit", reexecuted: 0, exact: false, note: "Steps are missing." },
};

/** A strategy that runs everything again, but for what `change` makes of it. */
const rerun = (change: { fresh?: false; reported?: number; exact?: true }): CaptureStrategy => ({
  ...honest,
  async capture(failed, { replay }) {
    let snapshot = failed.start;
    let reexecuted = 0;
    const own = { ...failed.unit, steps: failed.unit.steps.slice(0, failed.step) };
    for (const unit of own.steps.length > 0 ? [...failed.completed, own] : failed.completed) {
      const result = await replay.run(unit, snapshot, change.fresh === false ? {} : { fresh: failed.id });
      if (result.ok) snapshot = result.after;
      reexecuted += unit.steps.length;
    }
    return {
      snapshot,
      state: "before",
      reexecuted: change.reported ?? reexecuted,
      exact: change.exact ?? reexecuted === 0,
      note: "Made again.",
    };
  },
});

const failures = async (strategy: CaptureStrategy) =>
  (await runSuite((declare) => captureSuite({ test: declare, strategy }))).failed.map(({ name }) => name);

describe("the suite for capture strategies", () => {
  test("passes a strategy that keeps its word", async () => {
    expect(await failures(honest)).toEqual([]);
  });

  test.each<[string, CaptureStrategy, RegExp]>([
    ["a bad name", { ...honest, name: "Bad Name" }, /says who it is/],
    [
      "the state before labelled as the one at failure",
      {
        ...honest,
        capture: async ({ before }) => ({ snapshot: before, state: "at-failure", reexecuted: 0, exact: true }),
      },
      /labels its state truly when the first step/,
    ],
    [
      "a throw where the state at failure is missing",
      {
        ...honest,
        capture: async ({ atFailure }) => {
          if ("unavailable" in atFailure) throw new Error(atFailure.unavailable);
          return { snapshot: atFailure, state: "at-failure", reexecuted: 0, exact: true };
        },
      },
      /works without the state at failure/,
    ],
    ["a rerun out of the cache", rerun({ fresh: false }), /labels its state truly when a later step fails/],
    ["a rerun that counts nothing", rerun({ reported: 0 }), /labels its state truly when a later step fails/],
    ["a rerun that calls itself exact", rerun({ exact: true }), /labels its state truly when a later step fails/],
    ["an earlier failure that is not seen", rerun({}), /reports an earlier step that fails/],
    ["a rerun without a fallback", rerun({}), /falls back, and says so/],
  ])("fails %s", async (_, strategy, expected) => {
    expect(await failures(strategy)).toContainEqual(expect.stringMatching(expected));
  });
});
