import type { Plan } from "@melange2/core";
import { noSecrets } from "@melange2/core";
import { testStep, testUnit } from "@melange2/testkit";
import { expect, test } from "vitest";
import { refuseTooLarge } from "./kernel-limits.ts";

const planOf = (env: Readonly<Record<string, string>>, secretEnv: readonly string[] = []) =>
  ({ units: [testUnit(testStep("main-0", "true", { env, secretEnv }))] }) as unknown as Plan;
const letters = (count: number) => "x".repeat(count);

test("what Linux takes is taken", () => {
  refuseTooLarge(planOf({ A: letters(128 * 1024 - 3), B: letters(1000) }), noSecrets);
});

test("one variable that is too long is refused with its name and place", () => {
  expect(() => refuseTooLarge(planOf({ A: letters(128 * 1024 - 2) }), noSecrets)).toThrow(
    expect.objectContaining({ code: "recipe", message: expect.stringContaining("the variable A is longer") }),
  );
});

test("a secret counts, and is not shown", () => {
  const secrets = { names: ["S"], get: () => letters(200_000) };
  expect(() => refuseTooLarge(planOf({}, ["S"]), secrets)).toThrow(/^the variable S is longer than 128 KiB/);
});

test("many variables that are too long together are refused", () => {
  const env = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`A${index}`, letters(100_000)]));
  expect(() => refuseTooLarge(planOf(env), noSecrets)).toThrow(/together/);
});
