import { describe, expect, test } from "vitest";
import { type FakeOptions, failure, fakeSession, secrets, write } from "../test/fake-session.ts";
import { chained, clock, environment, plan, step, unit } from "../test/plan-parts.ts";
import { type BuildOptions, type BuildOutcome, replay, runPlan } from "./builder.ts";
import { noSecrets } from "./engine.ts";
import type { EventBody } from "./events.ts";
import type { Unit } from "./plan.ts";
import { recordedSteps } from "./record.ts";

interface Built {
  readonly outcome: BuildOutcome;
  readonly events: readonly EventBody[];
  readonly logs: ReadonlyMap<string, string>;
  readonly calls: readonly string[];
}

async function build(units: readonly Unit[], fake: FakeOptions = {}, more: Partial<BuildOptions> = {}): Promise<Built> {
  const events: EventBody[] = [];
  const logs = new Map<string, string>();
  const session = fakeSession(fake);
  const outcome = await runPlan({
    plan: plan(units),
    id: "build-1",
    session,
    environments: { build: environment, test: environment },
    secrets: noSecrets,
    tell: (event) => events.push(event),
    onLog: (of, log) => logs.set(of.id, new TextDecoder().decode(log.bytes())),
    signal: new AbortController().signal,
    now: clock(),
    ...more,
  });
  return { outcome, events, logs, calls: session.calls };
}

function told(event: EventBody): string {
  switch (event.type) {
    case "step-started":
      return `start ${event.step}${event.again ? " again" : ""}`;
    case "step-output":
      return `${event.step} ${event.stream}: ${event.text}`;
    case "step-finished":
      return `${event.state} ${event.step} ${event.exit?.code}${event.again ? " again" : ""}`;
    case "task-started":
    case "task-finished":
      return `${event.type} ${event.task}`;
    default:
      return event.type;
  }
}

describe("a build that succeeds", () => {
  test("runs each unit on the state of the one before and tells in order", async () => {
    const { outcome, events, calls } = await build(chained([unit("a"), unit("b")]), {
      run: (of, options) => {
        options.onStep?.(0, "start");
        write(options, 0, `${of.id} one\r\ntwo`, 3);
        options.onStep?.(0, "end");
        return undefined;
      },
    });
    expect(calls).toEqual(["load", "run unit-a from base-1", "run unit-b from base-1>unit-a"]);
    expect(events.map(told)).toEqual([
      "task-started load build",
      "task-finished load build",
      "start a",
      "a stdout: unit-a one",
      "a stdout: two",
      "done a 0",
      "start b",
      "b stdout: unit-b one",
      "b stdout: two",
      "done b 0",
    ]);
    expect(outcome).toMatchObject({ status: "built", states: { "unit-b": { id: "base-1>unit-a>unit-b" } } });
  });

  test("loads every environment once, each with states of its own", async () => {
    const units = [
      unit("a"),
      unit("t", { environment: "test" }),
      unit("b", { unit: "unit-a" }),
      unit("u", { unit: "unit-t" }),
      unit("v"),
    ];
    const { outcome, calls } = await build(units);
    expect(calls).toEqual([
      "load",
      "run unit-a from base-1",
      "load",
      "run unit-t from base-2",
      "run unit-b from base-1>unit-a",
      "run unit-u from base-2>unit-t",
      "run unit-v from base-1",
    ]);
    expect(outcome).toMatchObject({
      states: { "unit-b": { id: "base-1>unit-a>unit-b" }, "unit-v": { id: "base-1>unit-v" } },
    });
  });

  test("keeps no log of a cached step, and records it as cached", async () => {
    const { outcome, events, logs } = await build(chained([unit("a"), unit("b")]), {
      run: (of, options) => {
        if (of.id === "unit-a") return { ok: true, after: { id: "kept" }, cached: true };
        write(options, 0, "text\n");
        return undefined;
      },
    });
    expect([...logs]).toEqual([["b", "text\n"]]);
    expect(outcome.units.map(({ steps: [one], before, after }) => [one?.id, one?.state, before, after])).toEqual([
      ["a", "cached", "base-1", "kept"],
      ["b", "done", "kept", "kept>unit-b"],
    ]);
    expect(events.map(told)).toContain("start a");
    expect(events.map(told)).toContain("cached a 0");
  });

  test("keeps standard output and standard error apart until their lines are whole", async () => {
    const { logs } = await build([unit("a")], {
      run: (_unit, options) => {
        const chunk = (stream: "stdout" | "stderr", text: string) =>
          options.onOutput({ step: 0, stream, data: new TextEncoder().encode(text) });
        chunk("stdout", "first ");
        chunk("stderr", "warning\n");
        chunk("stdout", "line\n");
        return undefined;
      },
    });
    expect(logs.get("a")).toBe("warning\nfirst line\n");
  });
});

describe("a build that fails", () => {
  const units = [
    unit("a"),
    unit("t", { environment: "test" }),
    unit(["b", "c", "d"], { unit: "unit-a" }),
    unit("e", { unit: "unit-b" }),
  ];
  const fails: FakeOptions = {
    run: (of, options) => {
      if (of.id !== "unit-b") return undefined;
      write(options, 0, "of b\n");
      write(options, 1, "of c\n");
      return failure(1);
    },
  };

  test("records every step: done before, failed, not run after", async () => {
    const { outcome, events } = await build(units, fails);
    expect(recordedSteps(outcome).map(({ id, state, exit, log }) => [id, state, exit?.code, log?.bytes])).toEqual([
      ["a", "done", 0, 0],
      ["t", "done", 0, 0],
      ["b", "done", 0, 5],
      ["c", "failed", 2, 5],
      ["d", "not-run", undefined, undefined],
      ["e", "not-run", undefined, undefined],
    ]);
    const last = outcome.units.at(-1);
    expect(last?.steps[0]).not.toHaveProperty("started");
    expect(last).not.toHaveProperty("before");
    expect(events.map(told).filter((text) => text.endsWith(" d") || text.includes(" d "))).toEqual([]);
  });

  test("hands over what a capture strategy needs", async () => {
    const { outcome } = await build(units, fails);
    if (outcome.status !== "failed") throw new Error("it should have failed");
    expect(outcome.failures).toHaveLength(1);
    const [{ failed, step: failedStep, exit, log }] = outcome.failures;
    expect(failed).toEqual({
      id: "build-1",
      start: { id: "base-1" },
      completed: [units[0]],
      unit: units[2],
      step: 1,
      before: { id: "base-1>unit-a" },
      atFailure: { id: "at-failure" },
    });
    expect(failedStep.id).toBe("c");
    expect(exit).toEqual({ code: 2, reason: "exit" });
    expect(new TextDecoder().decode(log.bytes())).toBe("of c\n");
  });

  test("records no state after it where the engine kept none", async () => {
    const { outcome } = await build([unit("a")], {
      run: () => ({ ok: false, step: 0, exit: { code: 1, reason: "exit" }, atFailure: { unavailable: "killed" } }),
    });
    expect(outcome.units[0]).not.toHaveProperty("after");
  });

  test("names a step that the engine made up", async () => {
    await expect(build([unit("a")], { run: () => failure(7) })).rejects.toThrow(
      new TypeError("the engine names step 7 of unit unit-a, which it has not"),
    );
  });

  test("an environment that nobody composed is an error of its own", async () => {
    await expect(build([unit("a", { environment: "elsewhere" })])).rejects.toMatchObject({ code: "environment" });
  });
});

describe("an interrupt", () => {
  test("between two units rejects, and the next one is not begun", async () => {
    const interrupt = new AbortController();
    const begun: string[] = [];
    const run = (of: Unit) => {
      begun.push(of.id);
      interrupt.abort();
      return undefined;
    };
    await expect(build(chained([unit("a"), unit("b")]), { run }, { signal: interrupt.signal })).rejects.toMatchObject({
      code: "interrupted",
    });
    expect(begun).toEqual(["unit-a"]);
  });

  test("while a step runs is a failure with its state", async () => {
    const { outcome } = await build([unit("a")], { run: () => failure(0, 130, "interrupted") });
    expect(outcome).toMatchObject({ status: "failed", failures: [{ exit: { code: 130, reason: "interrupted" } }] });
  });
});

describe("secrets", () => {
  const value = "hunter2-überlang";
  const source = secrets({ TOKEN: value, PEM: "-----BEGIN KEY-----\nMIIabc\n-----END KEY-----\n" });
  const text = `a ${value} b\nurl=${encodeURIComponent(value)}\n${btoa("user:hunter2-plain")}\n-----BEGIN KEY-----\nMIIabc\n-----END KEY-----\n`;

  test.each([1, 2, 3, 7, 4096])("are in no event, log or record, in chunks of %i bytes", async (size) => {
    const unitA = { ...unit("a"), steps: [step("a", { secretEnv: ["TOKEN", "PEM"] })] };
    const built = await build(
      [unitA],
      {
        run: (_unit, options) => {
          write(options, 0, text + value, size);
          return failure(0);
        },
      },
      { secrets: source },
    );
    const everything = JSON.stringify([built.events, built.outcome, [...built.logs]]);
    for (const secret of [value, encodeURIComponent(value), "MIIabc"]) expect(everything).not.toContain(secret);
    expect(built.logs.get("a")).toBe(`a *** b\nurl=***\n${btoa("user:hunter2-plain")}\n***\n***`);
  });
});

describe("a replay", () => {
  test("marks its events, keeps its logs, and hides secrets as the build does", async () => {
    const events: EventBody[] = [];
    const session = fakeSession({
      run: (_unit, options) => {
        write(options, 0, "with hunter2\n", 1);
        return failure(0, 9);
      },
    });
    const again = replay({
      session,
      secrets: secrets({ TOKEN: "hunter2" }),
      tell: (event) => events.push(event),
      signal: new AbortController().signal,
      now: clock(),
    });
    await again.context.replay.run(unit("a"), { id: "base" }, { fresh: "build-1" });
    expect(session.calls).toEqual(["run unit-a from base fresh build-1"]);
    expect(events.map(told)).toEqual(["start a again", "a stdout: with ***", "failed a 9 again"]);
    expect(new TextDecoder().decode(again.logOf("a")?.bytes())).toBe("with ***\n");
    expect(again.recordOf("unit-a")).toMatchObject({
      before: "base",
      steps: [{ state: "failed", exit: { code: 9 }, log: { bytes: 9, omitted: 0 } }],
    });
  });
});
