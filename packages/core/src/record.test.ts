import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { aRecord } from "../test/failed-record.ts";
import { failure, fakeSession, secrets, write } from "../test/fake-session.ts";
import { chained, clock, environment, plan, step, unit } from "../test/plan-parts.ts";
import { runPlan } from "./builder.ts";
import { debugImageSpec } from "./debug-image.ts";
import { describeExit, type FailureRecord, recordedFailure, recordedSteps } from "./record.ts";

const schema = JSON.parse(readFileSync(new URL("../failure-record.schema.json", import.meta.url), "utf8"));
const validate = new Ajv2020({ strict: true, allErrors: true }).compile(schema);

/** What the schema says against it; empty: nothing. */
function violations(record: unknown): readonly string[] {
  // As it is read: without what JSON cannot say.
  validate(JSON.parse(JSON.stringify(record)));
  return (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
}

describe("the schema", () => {
  test("takes the record of a build that ran, failed and was cut short", async () => {
    const units = chained([
      unit("a"),
      {
        ...unit("b"),
        steps: [
          step("b"),
          step("c", {
            timeout: 0.5,
            secretEnv: ["TOKEN"],
            env: { "with.dot": "", PATH: "/bin" },
            mounts: [{ kind: "cache", source: "/var/cache/m", target: "/var/cache/melange" }],
          }),
          step("d"),
        ],
      },
      unit("e"),
    ]);
    const session = fakeSession({
      run: (of, options) => {
        if (of.id === "unit-a") return { ok: true, after: { id: "kept" }, cached: true };
        write(options, 1, "text\n");
        return failure(1, 124, "timeout");
      },
    });
    const outcome = await runPlan({
      plan: plan(units),
      id: "build-1",
      session,
      environments: { build: environment },
      secrets: secrets({ TOKEN: "hunter2" }),
      tell: () => {},
      signal: new AbortController().signal,
      now: clock(),
    });
    if (outcome.status !== "failed") throw new Error("it should have failed");
    const record: FailureRecord = {
      ...aRecord(),
      units: outcome.units,
      failures: outcome.failures.map(({ failed, step: { id, timeout }, exit }) => {
        return { unit: failed.unit.id, step: id, exit, message: describeExit(exit, timeout) };
      }) as unknown as FailureRecord["failures"],
    };
    expect(violations(record)).toEqual([]);
    expect(recordedSteps(record).map(({ state }) => state)).toEqual(["cached", "done", "failed", "not-run", "not-run"]);
    expect(recordedFailure(record)).toMatchObject({ unit: { id: "unit-b" }, step: { id: "c", state: "failed" } });
  });

  test("takes the record as a debug image holds it", async () => {
    const spec = debugImageSpec({
      record: { ...aRecord({ after: ["c"] }), secretsAllowed: ["/root/.netrc"] },
      capture: {
        strategy: "current-state",
        state: "before-unit",
        reexecuted: 0,
        exact: false,
        fallbackFrom: "current-state",
        note: "It cannot be had.",
      },
      environment,
      source: { text: "", copyName: "recipe.yaml" },
      log: new Uint8Array(),
      workspace: "/home/build",
    });
    let text = "";
    for await (const chunk of spec.files.find(({ path }) => path.endsWith("record.json"))?.open() ?? []) {
      text += new TextDecoder().decode(chunk);
    }
    expect(violations(JSON.parse(text))).toEqual([]);
  });

  const [done, failed] = recordedSteps(aRecord());
  const [notRun] = recordedSteps(aRecord({ before: [], after: ["c"] })).slice(-1);
  const withSteps = (...steps: readonly object[]) => ({
    units: [{ id: "u", purpose: "build", from: { environment: "build" }, steps }],
  });
  const withFailure = (wrong: object) => ({ failures: [{ ...aRecord().failures[0], ...wrong }] });
  const withMount = (mount: object) => withSteps({ ...failed, mounts: [mount] });
  test.each([
    ["another format", { format: "failure" }, "/format"],
    ["another version", { version: 1 }, "/version"],
    ["what it does not know", { extra: 1 }, " must NOT have additional properties"],
    ["a missing build", { build: undefined }, "build"],
    ["a time that is not UTC", { build: { ...aRecord().build, ended: "2026-11-24T00:00:00+01:00" } }, "/build/ended"],
    ["a prefixed hash", { source: { kind: "x", file: "a", sha256: `sha256:${"0".repeat(64)}` } }, "/source/sha256"],
    ["an unknown reason", withFailure({ exit: { code: 1, reason: "bad" } }), "/failures/0/exit"],
    ["an exit code beyond 255", withFailure({ exit: { code: 256, reason: "exit" } }), "/code"],
    ["no failure", { failures: [] }, "/failures"],
    ["a unit without steps", withSteps(), "/units/0/steps"],
    ["a unit of an unknown purpose", { units: [{ ...aRecord().units[0], purpose: "fun" }] }, "/units/0/purpose"],
    ["a unit that starts nowhere", { units: [{ ...aRecord().units[0], from: {} }] }, "/units/0/from"],
    [
      "a layer that is no digest",
      { environments: { build: { layers: ["sha256:1"] } } },
      "/environments/build/layers/0",
    ],
    ["a mount of an unknown kind", withMount({ kind: "nfs", target: "/x" }), "/mounts/0"],
    ["a cache without a source", withMount({ kind: "cache", target: "/x" }), "/mounts/0"],
    ["an empty command", withSteps({ ...failed, command: [] }), "/command"],
    ["a relative path", { secretsAllowed: ["root/.netrc"] }, "/secretsAllowed/0"],
    ["an empty list of secrets", { secretsAllowed: [] }, "/secretsAllowed"],
    ["a step that ran without an exit", withSteps(failed as object, { ...done, exit: undefined }), "/steps/1"],
    [
      "a step that did not run but ended",
      withSteps(failed as object, { ...notRun, ended: done?.ended }),
      "/steps/1/ended",
    ],
    ["an env value that is no text", withSteps({ ...failed, env: { A: 1 } }), "/steps/0/env/A"],
    ["a location that counts from 0", withSteps({ ...failed, location: { file: "a", line: 0, column: 1 } }), "/line"],
    [
      "a state that nobody captures",
      { capture: { strategy: "x", state: "after", reexecuted: 0, exact: true } },
      "/state",
    ],
    ["an incomplete capture", { capture: { strategy: "x", state: "before", exact: true } }, "/capture"],
  ])("refuses %s", (_, wrong, where) => {
    expect(violations({ ...aRecord(), ...wrong }).join("\n")).toContain(where);
  });
});

test.each([
  [{ code: 2, reason: "exit" }, undefined, "exit status 2"],
  [{ code: 124, reason: "timeout" }, 30, "timed out after 30 s"],
  [{ code: 124, reason: "timeout" }, undefined, "timed out"],
  [{ code: 139, reason: "signal" }, undefined, "killed by signal 11"],
  [{ code: 137, reason: "oom" }, undefined, "killed: out of memory"],
  [{ code: 130, reason: "interrupted" }, undefined, "interrupted"],
] as const)("%o with the limit %s is said as %j", (exit, timeout, said) => {
  expect(describeExit(exit, timeout)).toBe(said);
});

test("a record without its failed step is a mistake of whoever made it", () => {
  expect(recordedFailure(aRecord()).step.id).toBe("b");
  expect(() => recordedFailure({ ...aRecord(), units: [] })).toThrow(TypeError);
});
