import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isMelangeError } from "@melange2/core";
import { describe, expect, test } from "vitest";
import { oracles } from "../test/corpus-folder.ts";
import { plannedRecipe } from "../test/planned.ts";
import { ConditionError, evaluateCondition, quoteForCondition } from "./condition.ts";
import { pipelineDirectories } from "./pipeline-directories.ts";

interface Recorded {
  readonly context: {
    readonly arch: string;
    readonly package: object;
    readonly vars: object;
    readonly "var-transforms": object;
    readonly options: readonly string[];
    readonly "build-option": readonly string[];
  };
  readonly rows: readonly { readonly if: string; readonly result: boolean | "error" }[];
}

test("every recorded condition of a step has melange's value", async ({ skip }) => {
  skip(!oracles, "there is no ../shared/corpus");
  const { context, rows }: Recorded = JSON.parse(readFileSync(join(oracles ?? "", "conditions.json"), "utf8"));
  expect(rows.length).toBeGreaterThan(100);
  for (const { if: condition, result } of rows) {
    // JSON is YAML.
    const text = JSON.stringify({
      package: context.package,
      vars: context.vars,
      "var-transforms": context["var-transforms"],
      options: Object.fromEntries(context.options.map((name) => [name, {}])),
      pipeline: [{ if: condition, runs: "true", needs: { packages: ["taken"] } }],
    });
    const outcome = await plannedRecipe({
      file: "recipe.yaml",
      text,
      arch: context.arch,
      pipelines: pipelineDirectories([]),
      buildOptions: context["build-option"],
    }).catch((error: unknown) => {
      expect(isMelangeError(error) && error.code, condition).toBe("recipe");
      return "error" as const;
    });
    const value =
      outcome === "error"
        ? outcome
        : outcome.kind === "compiled" && outcome.environments.build?.packages.includes("taken");
    expect(value, condition).toBe(result);
  }
});

describe("a condition", () => {
  test("has no precedence: it is read from left to right", () => {
    const truth = { t: "'a' == 'a'", f: "'a' == 'b'" };
    for (const a of ["t", "f"] as const) {
      for (const b of ["t", "f"] as const) {
        for (const c of ["t", "f"] as const) {
          for (const first of ["&&", "||"]) {
            for (const second of ["&&", "||"]) {
              const step = (left: boolean, operator: string, right: boolean) =>
                operator === "&&" ? left && right : left || right;
              const expected = step(step(a === "t", first, b === "t"), second, c === "t");
              expect(evaluateCondition(`${truth[a]} ${first} ${truth[b]} ${second} ${truth[c]}`)).toBe(expected);
            }
          }
        }
      }
    }
  });

  test("says where it cannot be read", () => {
    expect(() => evaluateCondition("'a' = 'a'")).toThrow(ConditionError);
    expect(() => evaluateCondition("   ")).toThrow("a value is missing at the end");
  });

  test.each(["", "plain", `it's "quoted"`, "back\\slash", "two\nlines\tand tab", "é 😀"])(
    "a quoted variable %j equals itself",
    (value) => {
      expect(evaluateCondition(`${quoteForCondition(value)} == ${quoteForCondition(value)}`)).toBe(true);
      expect(evaluateCondition(`${quoteForCondition(value)} == 'other'`)).toBe(false);
    },
  );
});
