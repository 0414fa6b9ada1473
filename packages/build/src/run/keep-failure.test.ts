import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EngineSession, type FailureRecord, noSecrets, type Plan, type StateRef } from "@melange2/core";
import { defaultBudget, failureStore, type KeptFailure, type KeptStates } from "@melange2/records";
import { scriptedEngine, testStep, testUnit } from "@melange2/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { dropBeyondBudget, keepFailure, refsOf } from "./keep-failure.ts";

const { signal } = new AbortController();
const environment = { platform: { os: "linux", architecture: "amd64" }, config: {}, layers: [] };

let directory: string;
let session: EngineSession;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "melange2-keep-"));
  const engine = scriptedEngine({ steps: { fails: 1 } });
  session = await engine.open({ capture: true, secrets: noSecrets, network: false, signal });
});
afterEach(async () => {
  await session[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

/** A build that began at noon and a second more for each number. */
const idOf = (number: number) => `20260101-1200${String(number).padStart(2, "0")}-aaaaaa`;

function failure(number: number, ended: string): KeptFailure {
  const ref = { engine: "scripted", state: String(number) };
  const record = {
    format: "melange2-failure-record",
    version: 2,
    build: { id: idOf(number), started: "2026-01-01T12:00:00.000Z", ended },
    subject: { name: "p", version: "1-r0", arch: "x86_64" },
  } as unknown as FailureRecord;
  const kept = { ...environment, base: "/base.tar", diffIds: [] };
  const states = { engine: "scripted", options: {}, start: ref, before: ref, atFailure: ref, environment: kept };
  return { record, plan: { units: [] } as unknown as Plan, states };
}

it("never drops the build that has just failed, whenever it began and whatever ended meanwhile", async () => {
  const store = failureStore(directory);
  const numbers = Array.from({ length: defaultBudget.builds + 1 }, (_, index) => index);
  for (const number of numbers) {
    const ended = number === 0 ? "2026-01-01T12:00:01.000Z" : `2026-01-01T13:00:${10 + number}.000Z`;
    await store.save(failure(number, ended), new Map());
  }
  const engine = { engine: { name: "scripted", options: {} } };
  await dropBeyondBudget(idOf(0), { ...engine, session, store, tell: () => {}, signal });
  const { failures } = await store.list();
  expect(failures.map(({ id }) => id).sort()).toEqual(numbers.filter((number) => number !== 1).map(idOf));
});

it("leaves no state pinned where the record cannot be written", async () => {
  const unit = testUnit(testStep("fails", "exit 1"));
  const start = await session.load(environment, { signal });
  const result = await session.run(unit, start, { signal, onOutput: () => {} });
  if (result.ok) throw new Error("the step did not fail");
  let pinned: readonly StateRef[] = [];
  const full = Object.assign(new Error("no space left"), { code: "ENOSPC" });
  const store = {
    ...failureStore(directory),
    async save({ states }: { states: KeptStates }) {
      pinned = refsOf(states);
      for (const ref of pinned) expect(await session.find(ref, { signal })).toBeDefined();
      throw full;
    },
  };
  const keeping = keepFailure({
    failed: { id: "b", start, completed: [], unit, step: 0, before: start, atFailure: result.atFailure },
    ...failure(0, "2026-01-01T12:00:01.000Z"),
    engine: { name: "scripted", options: {} },
    environment,
    base: "/base.tar",
    logs: new Map(),
    session,
    store,
    tell: () => {},
    signal,
  });
  await expect(keeping).rejects.toBe(full);
  expect(pinned).toHaveLength(3);
  for (const ref of pinned) expect(await session.find(ref, { signal })).toBeUndefined();
});
