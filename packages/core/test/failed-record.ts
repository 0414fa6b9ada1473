import type { Exit, FailureRecord, Step, StepRecord, StepState } from "../src/index.ts";
import { step } from "./plan-parts.ts";

export interface RecordParts {
  readonly failed?: Step;
  readonly exit?: Exit;
  /** Ids of steps that ran before, each a unit of its own. */
  readonly before?: readonly string[];
  /** Ids of steps of the failed step's unit that ran before it. */
  readonly sameUnit?: readonly string[];
  readonly after?: readonly string[];
}

/** The record of a build that failed at `b`, or where the parts say. */
export function aRecord(parts: RecordParts = {}): FailureRecord {
  const { failed = step("b"), exit = { code: 2, reason: "exit" }, before = ["a"], sameUnit = [], after = [] } = parts;
  const unit = `unit-${sameUnit[0] ?? failed.id}`;
  return {
    format: "melange2-failure-record",
    version: 1,
    build: { id: "build-1", started: "2026-11-24T00:00:00.000Z", ended: "2026-11-24T00:01:00.000Z" },
    tool: { name: "melange2", version: "1.0.0" },
    engine: "local",
    recipe: { file: "hello.yaml", sha256: "ab".repeat(32) },
    package: { name: "hello", version: "1.0", epoch: 0, arch: "x86_64" },
    failure: { step: failed.id, exit, message: "it failed" },
    steps: [
      ...before.map((id) => noted(step(id), `unit-${id}`, "done")),
      ...sameUnit.map((id) => noted(step(id), unit, "done")),
      { ...noted(failed, unit, "failed"), exit },
      ...after.map((id) => noted(step(id), `unit-${id}`, "not-run")),
    ],
    network: true,
  };
}

function noted(of: Step, unit: string, state: StepState): StepRecord {
  const { fragment: _fragment, capabilities: _capabilities, timeout, ...rest } = of;
  const outline = { ...rest, unit, state, ...(timeout === undefined ? {} : { timeout }) };
  if (state === "not-run") return outline;
  return {
    ...outline,
    started: "2026-11-24T00:00:01.000Z",
    ended: "2026-11-24T00:00:02.000Z",
    exit: { code: 0, reason: "exit" },
    log: { bytes: 10, omitted: 0 },
    before: "s1",
    after: "s2",
  };
}
