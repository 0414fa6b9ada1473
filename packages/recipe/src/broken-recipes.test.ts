import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isMelangeError } from "@melange2/core";
import { expect, test } from "vitest";
import { oracles } from "../test/corpus-folder.ts";
import { plannedRecipe } from "../test/planned.ts";
import { pipelineDirectories } from "./pipeline-directories.ts";

interface Row {
  readonly label: string;
  readonly yaml: string | null;
  readonly exit: number;
}

// Refused by melange for what only shows when the packages are looked for, the steps run, or flags are read.
const notTheRecipe = new Set([
  "version not found",
  "conflict",
  "no shell",
  "no packages",
  "nested failing",
  "sub failing",
  "license-path missing",
  "missing signing key",
  "unknown runner",
  "unknown flag",
  "missing recipe",
  // Where melange itself breaks, a map is merged as any other.
  "vars-file without vars",
  "nested env parent none",
]);

const rows: readonly Row[] = oracles ? JSON.parse(readFileSync(join(oracles, "errors.json"), "utf8")) : [];
const recipes = rows.flatMap(({ label, yaml, exit }) =>
  yaml === null || notTheRecipe.has(label) ? [] : [{ label, yaml, exit }],
);

test("there are recorded broken recipes", ({ skip }) => {
  skip(!oracles, "there is no ../shared/corpus");
  expect(recipes.length).toBeGreaterThan(100);
});

test.each(recipes)("$label: refused exactly where melange refuses", async ({ yaml, exit }) => {
  const compiling = plannedRecipe({
    file: "recipe.yaml",
    text: yaml,
    arch: "x86_64",
    pipelines: pipelineDirectories([]),
  });
  if (exit === 0) {
    expect((await compiling).kind).toBe("compiled");
    return;
  }
  const error = await compiling.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isMelangeError(error)) throw error ?? new Error("it was accepted");
  expect(error.code).toBe("recipe");
  expect(error.problems.length).toBeGreaterThan(0);
  for (const { location } of error.problems) {
    expect(location?.file).toMatch(/^recipe\.yaml$|^built-in:/);
    expect(location?.line).toBeLessThanOrEqual(yaml.split("\n").length);
  }
});
