import { captureSuite, contents, failedScriptedBuild, testStep, testUnit } from "@melange2/testkit";
import { describe, expect, test } from "vitest";
import { twoPhase } from "./two-phase.ts";

describe("the suite for capture strategies", () => captureSuite({ test, strategy: twoPhase }));

const main = testUnit(testStep("main-0", ""));
const several = testUnit(testStep("test-0", ""), testStep("test-1", ""), testStep("test-2", ""));

test("runs every step before the failed one again, those of its own unit too, and nothing else", async () => {
  await using build = await failedScriptedBuild([main, several], "test-2");
  const capture = await build.capture(twoPhase);
  expect(build.executedAgain).toEqual(["main-0", "test-0", "test-1"]);
  expect(capture).toMatchObject({ state: "before", reexecuted: 3, exact: false });
  expect(contents(build.engine, capture.snapshot)).not.toHaveProperty("/home/build/test-2");
});

test("runs under the failure's own name, apart from the build's cache", async () => {
  await using build = await failedScriptedBuild([main, several], "test-0");
  await build.capture(twoPhase);
  expect(build.engine.calls.at(-1)).toMatchObject({ method: "run", fresh: build.failed.id });
});

test("is the very state when there is nothing to run again", async () => {
  await using build = await failedScriptedBuild([main], "main-0");
  expect(await build.capture(twoPhase)).toMatchObject({ snapshot: build.failed.start, reexecuted: 0, exact: true });
});

test("an earlier failure without its state is shown by the state before it", async () => {
  await using build = await failedScriptedBuild([main, several], "test-2", {
    steps: { "test-1": (_, { execution }) => (execution === 1 ? 0 : 9) },
    atFailureUnavailable: "the host went down",
  });
  const capture = await build.capture(twoPhase);
  expect(capture).toMatchObject({
    state: "before-unit",
    exact: false,
    reexecuted: 3,
    earlierFailure: { step: 1, result: { exit: { code: 9 } } },
  });
  expect(contents(build.engine, capture.snapshot)).toEqual({ "/etc/base": "base", "/home/build/main-0": "done" });
});

test("an interrupt while a step runs again is no earlier failure", async () => {
  await using build = await failedScriptedBuild([main, several], "test-0", {
    steps: {
      "main-0": (_, { execution }) => {
        if (execution === 2) build.interrupt();
        return 0;
      },
    },
  });
  await expect(build.capture(twoPhase)).rejects.toMatchObject({ code: "interrupted" });
});
