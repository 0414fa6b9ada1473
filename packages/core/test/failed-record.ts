import type { Exit, FailureRecord, Step, StepRecord, StepState, UnitRecord } from "../src/index.ts";
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
  const failedSteps = [...sameUnit.map((id) => recorded(step(id), "done")), { ...recorded(failed, "failed"), exit }];
  return {
    format: "melange2-failure-record",
    version: 2,
    build: { id: "build-1", started: "2026-11-24T00:00:00.000Z", ended: "2026-11-24T00:01:00.000Z" },
    tool: { name: "melange2", version: "1.0.0" },
    engine: "local",
    source: { kind: "melange", file: "hello.yaml", sha256: "ab".repeat(32) },
    subject: { name: "hello", version: "1.0-r0", arch: "x86_64" },
    environments: { build: { layers: [`sha256:${"cd".repeat(32)}`] } },
    units: chained([
      ...before.map((id) => unitOf(`unit-${id}`, [recorded(step(id), "done")])),
      unitOf(unit, failedSteps),
      ...after.map((id) => unitOf(`unit-${id}`, [recorded(step(id), "not-run")])),
    ]),
    failures: [{ unit, step: failed.id, exit, message: "it failed" }],
    network: true,
  };
}

function chained(units: readonly Omit<UnitRecord, "from">[]): readonly UnitRecord[] {
  return units.map((one, index) => {
    const below = units[index - 1];
    return { ...one, from: below === undefined ? { environment: "build" } : { unit: below.id } };
  });
}

function unitOf(id: string, steps: readonly StepRecord[]): Omit<UnitRecord, "from"> {
  const ran = steps.some(({ state }) => state !== "not-run");
  return { id, purpose: "build", ...(ran ? { before: "s1", after: "s2" } : {}), steps };
}

function recorded(of: Step, state: StepState): StepRecord {
  const { fragment: _fragment, capabilities: _capabilities, timeout, ...rest } = of;
  const outline = { ...rest, state, ...(timeout === undefined ? {} : { timeout }) };
  if (state === "not-run") return outline;
  return {
    ...outline,
    started: "2026-11-24T00:00:01.000Z",
    ended: "2026-11-24T00:00:02.000Z",
    exit: { code: 0, reason: "exit" },
    log: { bytes: 10, omitted: 0 },
  };
}
