import { captureSuite, failedScriptedBuild, testStep, testUnit } from "@melange2/testkit";
import { describe, expect, test } from "vitest";
import { currentState } from "./current-state.ts";

describe("the suite for capture strategies", () => captureSuite({ test, strategy: currentState }));

const several = testUnit(testStep("test-0", ""), testStep("test-1", ""));

test("is what the failed step left", async () => {
  await using build = await failedScriptedBuild([several], "test-1");
  expect(await build.capture(currentState)).toEqual({
    snapshot: build.failed.atFailure,
    state: "at-failure",
    reexecuted: 0,
    exact: true,
  });
});

test("is last-good, labelled so and with both reasons, where that state cannot be had", async () => {
  await using build = await failedScriptedBuild([several], "test-1", { atFailureUnavailable: "the host went down" });
  const capture = await build.capture(currentState);
  expect(capture).toMatchObject({
    snapshot: build.failed.before,
    state: "before-unit",
    exact: false,
    fallbackFrom: "current-state",
  });
  expect(capture.note).toMatch(/the host went down.*1 step/);
  expect(build.executedAgain).toEqual([]);
});
