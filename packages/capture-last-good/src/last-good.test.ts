import { captureSuite, failedScriptedBuild, testStep, testUnit } from "@melange2/testkit";
import { describe, expect, test } from "vitest";
import { lastGood } from "./last-good.ts";

describe("the suite for capture strategies", () => captureSuite({ test, strategy: lastGood }));

const several = testUnit(testStep("test-0", ""), testStep("test-1", ""), testStep("test-2", ""));

test("is the very state that the failed step started from", async () => {
  await using build = await failedScriptedBuild([testUnit(testStep("main-0", "")), several], "test-0");
  expect(await build.capture(lastGood)).toEqual({
    snapshot: build.failed.before,
    state: "before",
    reexecuted: 0,
    exact: true,
  });
});

test("is the state before the whole unit for its later steps, and says what is missing", async () => {
  await using build = await failedScriptedBuild([testUnit(testStep("main-0", "")), several], "test-2");
  const capture = await build.capture(lastGood);
  expect(capture).toMatchObject({ snapshot: build.failed.before, state: "before-unit", exact: false });
  expect(capture.note).toContain("2 steps");
  expect(build.executedAgain).toEqual([]);
});
