import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { aRecord } from "../test/failed-record.ts";
import { failure, fakeSession, secrets, write } from "../test/fake-session.ts";
import { clock, environment, plan, step, unit } from "../test/plan-parts.ts";
import { runPlan } from "./builder.ts";
import { debugImageSpec } from "./debug-image.ts";
import { describeExit, type FailureRecord, failedStep } from "./record.ts";

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
    const units = [
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
    ];
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
      onEvent: () => {},
      signal: new AbortController().signal,
      now: clock(),
    });
    if (outcome.status !== "failed") throw new Error("it should have failed");
    const record: FailureRecord = {
      ...aRecord(),
      steps: outcome.steps,
      failure: { step: "c", exit: outcome.exit, message: describeExit(outcome.exit, outcome.step.timeout) },
    };
    expect(violations(record)).toEqual([]);
    expect(record.steps.map(({ state }) => state)).toEqual(["cached", "done", "failed", "not-run", "not-run"]);
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
      recipe: "",
      log: new Uint8Array(),
      workspace: "/home/build",
    });
    let text = "";
    for await (const chunk of spec.files.find(({ path }) => path.endsWith("record.json"))?.open() ?? []) {
      text += new TextDecoder().decode(chunk);
    }
    expect(violations(JSON.parse(text))).toEqual([]);
  });

  const [done, failed] = aRecord().steps;
  const [notRun] = aRecord({ before: [], after: ["c"] }).steps.slice(-1);
  test.each([
    ["another format", { format: "failure" }, "/format"],
    ["another version", { version: 2 }, "/version"],
    ["what it does not know", { extra: 1 }, " must NOT have additional properties"],
    ["a missing build", { build: undefined }, "build"],
    ["a time that is not UTC", { build: { ...aRecord().build, ended: "2026-11-24T00:00:00+01:00" } }, "/build/ended"],
    ["a prefixed hash", { recipe: { file: "a", sha256: `sha256:${"0".repeat(64)}` } }, "/recipe/sha256"],
    ["an unknown reason", { failure: { step: "b", message: "", exit: { code: 1, reason: "bad" } } }, "/failure/exit"],
    ["an exit code beyond 255", { failure: { step: "b", message: "", exit: { code: 256, reason: "exit" } } }, "/code"],
    ["no failed step", { steps: [done] }, "/steps"],
    ["two failed steps", { steps: [failed, failed] }, "/steps"],
    ["a relative path", { secretsAllowed: ["root/.netrc"] }, "/secretsAllowed/0"],
    ["an empty list of secrets", { secretsAllowed: [] }, "/secretsAllowed"],
    ["a step that ran without an exit", { steps: [failed, { ...done, exit: undefined }] }, "/steps/1"],
    ["a step that did not run but ended", { steps: [failed, { ...notRun, ended: done?.ended }] }, "/steps/1/ended"],
    ["an env value that is no text", { steps: [{ ...failed, env: { A: 1 } }] }, "/steps/0/env/A"],
    ["a location that counts from 0", { steps: [{ ...failed, location: { file: "a", line: 0, column: 1 } }] }, "/line"],
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
  expect(failedStep(aRecord()).id).toBe("b");
  expect(() => failedStep({ ...aRecord(), steps: [] })).toThrow(TypeError);
});
