import assert from "node:assert/strict";
import {
  type Capture,
  type CaptureStrategy,
  type FailedBuild,
  isMelangeError,
  MelangeError,
  type Unit,
} from "@melange2/core";
import { testStep, testUnit } from "./plan-parts.ts";
import { contents, type FailedScriptedBuild, failedScriptedBuild } from "./scripted/failed-build.ts";
import type { StepScript } from "./scripted/scripted-engine.ts";
import type { SuiteTest } from "./suite-test.ts";

export interface CaptureSuiteOptions {
  readonly test: SuiteTest;
  readonly strategy: CaptureStrategy;
}

const single = (id: string): Unit => testUnit(testStep(id, `make ${id}`));
const several: Unit = testUnit(testStep("test-0", "zero"), testStep("test-1", "one"), testStep("test-2", "two"));

/**
 * Holds a capture strategy to its contract, against a scripted engine: whatever state it chooses is labelled as what it is, what it
 * says it executed is what was executed, and nothing about the build makes it throw. Works for every strategy; what a strategy
 * chooses beyond that is its own tests' matter.
 */
export function captureSuite({ test, strategy }: CaptureSuiteOptions): void {
  test("says who it is", async () => {
    assert.match(strategy.name, /^[a-z][a-z0-9-]*$/);
    assert.equal(strategy.contract, 1);
    assert.match(strategy.summary, /^[^\n]{1,120}$/, "the summary is one line");
  });

  const failures: readonly { readonly when: string; readonly units: readonly Unit[]; readonly failing: string }[] = [
    { when: "the first step of the build fails", units: [single("main-0")], failing: "main-0" },
    { when: "a later step fails", units: [single("main-0"), single("main-1"), single("main-2")], failing: "main-2" },
    { when: "the first step of a unit of several fails", units: [single("main-0"), several], failing: "test-0" },
    { when: "a later step of a unit of several fails", units: [single("main-0"), several], failing: "test-2" },
  ];
  for (const { when, units, failing } of failures) {
    test(`labels its state truly when ${when}`, async () => {
      await using build = await failedScriptedBuild(units, failing);
      const capture = await build.capture(strategy);
      assertTruthful(capture, build);
      assert.equal(capture.fallbackFrom, undefined, "nothing was missing: there is no reason to fall back");
    });

    test(`works without the state at failure when ${when}`, async () => {
      await using build = await failedScriptedBuild(units, failing, {
        atFailureUnavailable: "the step was killed from outside",
      });
      const capture = await build.capture(strategy);
      assertTruthful(capture, build);
      if (capture.fallbackFrom !== undefined) {
        assert.equal(capture.fallbackFrom, strategy.name, "fallbackFrom names the strategy that was asked for");
        assert.ok(capture.note, "a fallback says why");
      }
    });

    test(`leaves no trace between two captures when ${when}`, async () => {
      await using build = await failedScriptedBuild(units, failing);
      const first = await build.capture(strategy);
      const second = await build.capture(strategy);
      assert.deepEqual(outline(second), outline(first));
      assert.deepEqual(contents(build.engine, second.snapshot), contents(build.engine, first.snapshot));
    });
  }

  test("reports an earlier step that fails when it runs again, with that failure's state", async (context) => {
    const second: StepScript = (tree, { execution }) => {
      tree.write("/home/build/main-1", "done");
      return execution === 1 ? 0 : 7;
    };
    await using build = await failedScriptedBuild([single("main-0"), single("main-1"), single("main-2")], "main-2", {
      steps: { "main-1": second },
    });
    const capture = await build.capture(strategy);
    if (!build.executedAgain.includes("main-1")) return context.skip(`${strategy.name} runs no earlier step again`);
    assert.equal(capture.earlierFailure?.unit.id, "main-1");
    assert.equal(capture.earlierFailure.step, 0);
    assert.equal(capture.earlierFailure.result.exit.code, 7);
    assert.equal(capture.reexecuted, 2, "the step that failed was executed, too");
    assert.equal(capture.state, "at-failure");
    assert.deepEqual(contents(build.engine, capture.snapshot), {
      "/etc/base": "base",
      "/home/build/main-0": "done",
      "/home/build/main-1": "done",
    });
    assert.ok(capture.note, "it says that another failure is shown");
  });

  test("falls back, and says so, when the engine cannot run the steps again", async (context) => {
    let asked = false;
    await using build = await failedScriptedBuild([single("main-0"), single("main-1")], "main-1", {
      before: (call) => {
        if (call.method !== "run" || call.fresh === undefined) return;
        asked = true;
        throw new MelangeError("engine", "the daemon went away", { hint: "Start it." });
      },
    });
    const capture = await build.capture(strategy);
    assertTruthful(capture, build);
    assert.equal(capture.reexecuted, 0);
    if (!asked) return context.skip(`${strategy.name} runs nothing again`);
    assert.equal(capture.fallbackFrom, strategy.name);
    assert.ok(capture.note, "a fallback says why");
  });

  test("stops when it is interrupted", async () => {
    await using build = await failedScriptedBuild([single("main-0"), single("main-1")], "main-1");
    build.interrupt();
    const executed = build.engine.executed.length;
    try {
      await build.capture(strategy);
    } catch (error) {
      assert.ok(isMelangeError(error) && error.code === "interrupted", `rejects with interrupted, not ${error}`);
    }
    assert.equal(build.engine.executed.length, executed, "nothing runs after the interrupt");
  });
}

function assertTruthful(capture: Capture, { engine, failed, executedAgain }: FailedScriptedBuild): void {
  const found = contents(engine, capture.snapshot);
  const expected = {
    before: () => filesBefore(failed),
    "before-unit": () => contents(engine, failed.before),
    "at-failure": () => ("unavailable" in failed.atFailure ? undefined : contents(engine, failed.atFailure)),
  }[capture.state]();
  assert.deepEqual(found, expected, `the snapshot is not the state "${capture.state}"`);
  assert.equal(capture.reexecuted, executedAgain.length, "reexecuted is not what was executed");
  if (capture.state === "before-unit")
    assert.ok(failed.step > 0, "the first step's state before is the unit's: before");
  if (capture.exact) {
    const exact = capture.state === "at-failure" ? failed.atFailure : failed.before;
    assert.ok(!("unavailable" in exact) && capture.snapshot.id === exact.id, "exact, but not the very state");
    assert.notEqual(capture.state, "before-unit", "before-unit is never exact: steps are missing");
  } else {
    assert.ok(capture.note, "a state that is not exact says why");
  }
  assert.equal(capture.earlierFailure, undefined, "no earlier step failed");
}

/** What every step before the failed one leaves, the earlier ones of its unit included. */
function filesBefore({ completed, unit, step }: FailedBuild): Readonly<Record<string, string>> {
  const ran = [...completed.flatMap(({ steps }) => steps), ...unit.steps.slice(0, step)];
  return { "/etc/base": "base", ...Object.fromEntries(ran.map(({ id }) => [`/home/build/${id}`, "done"])) };
}

function outline({ snapshot: _snapshot, earlierFailure: _earlier, ...rest }: Capture): object {
  return rest;
}
