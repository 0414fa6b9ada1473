import { expect, test } from "vitest";
import { type FakeOptions, failure, fakeSession } from "../test/fake-session.ts";
import { clock, unit } from "../test/plan-parts.ts";
import { noSecrets } from "./engine.ts";
import type { EventBody } from "./events.ts";
import { type LostFailure, restoreFailure, stepsToRestore } from "./restore-failure.ts";

const lost: LostFailure = {
  id: "build-1",
  completed: [unit("a"), unit(["b", "c"])],
  unit: unit(["d", "e"]),
  step: 1,
  start: undefined,
  before: undefined,
  atFailure: undefined,
};

async function restore(changes: Partial<LostFailure>, run: FakeOptions["run"]) {
  const session = fakeSession(run === undefined ? {} : { run });
  const events: EventBody[] = [];
  const restored = await restoreFailure({
    lost: { ...lost, ...changes },
    load: () => session.load({ platform: { os: "linux", architecture: "amd64" }, config: {}, layers: [] }, never),
    session,
    secrets: noSecrets,
    tell: (event) => events.push(event),
    now: clock(),
    ...never,
  });
  return { ...restored, calls: session.calls, events };
}

const never = { signal: new AbortController().signal };
const failsIn =
  (name: string, step: number): FakeOptions["run"] =>
  (one) =>
    one.id === name ? failure(step) : undefined;

test("everything is gone: every step runs again, from the environment on, and is told as run again", async () => {
  const { failed, reexecuted, calls, events } = await restore({}, failsIn("unit-d", 1));
  expect(calls).toEqual([
    "load",
    "run unit-a from base-1",
    "run unit-b from base-1>unit-a",
    "run unit-d from base-1>unit-a>unit-b",
  ]);
  expect(failed).toMatchObject({ start: { id: "base-1" }, before: { id: "base-1>unit-a>unit-b" } });
  expect(failed.atFailure).toEqual({ id: "at-failure" });
  expect(reexecuted).toBe(5);
  expect(stepsToRestore(lost)).toBe(5);
  const started = events.flatMap((event) => (event.type === "step-started" ? [event] : []));
  expect(started.map(({ again }) => again)).toEqual(Array(5).fill(true));
});

test("what is there is used: nothing runs for it, and what was cached is not counted", async () => {
  const there = { start: { id: "start" }, before: { id: "before" } };
  const one = await restore(there, failsIn("unit-d", 1));
  expect([one.calls, one.reexecuted]).toEqual([["run unit-d from before"], 2]);
  expect(stepsToRestore({ ...lost, ...there })).toBe(2);
  const all = await restore({ ...there, atFailure: { id: "left" } }, undefined);
  expect([all.calls, all.reexecuted, all.failed.atFailure]).toEqual([[], 0, { id: "left" }]);
  const cached = await restore({ start: { id: "start" } }, (two) =>
    two.id === "unit-d" ? failure(1) : { ok: true, after: { id: "known" }, cached: true },
  );
  expect([cached.reexecuted, cached.failed.before]).toEqual([2, { id: "known" }]);
});

test("a step that does not fail this time, or another one that does, leaves no state at failure", async () => {
  expect((await restore({}, undefined)).failed.atFailure).toEqual({
    unavailable: "the step did not fail when it was run again",
  });
  expect((await restore({}, failsIn("unit-d", 0))).failed.atFailure).toEqual({
    unavailable: "another step failed when they were run again",
  });
});

test("an earlier step that fails is another failure", async () => {
  await expect(restore({}, failsIn("unit-b", 1))).rejects.toMatchObject({
    code: "capture",
    message: '"the step c" failed when it was run again: exit status 2',
  });
});
