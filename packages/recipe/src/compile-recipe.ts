import type { Plan, Problem } from "@melange2/core";
import type { CompileOptions } from "./compile-options.ts";
import { type Plain, plain } from "./plain.ts";
import type { EnvironmentRequest, PlannedPackage } from "./planned.ts";
import { prepareRecipe, throwProblems } from "./prepare-recipe.ts";
import { buildPlan, plannedPackages, testPlan } from "./recipe-plans.ts";
import type { RecipeSource } from "./schema.ts";
import { collectProblems } from "./source.ts";

/** A recipe as data, expanded and substituted, with the keys of the YAML: `recipe.package["target-architecture"]`. */
export type Recipe = Plain<RecipeSource>;

export type CompiledRecipe =
  | {
      readonly kind: "compiled";
      readonly recipe: Recipe;
      /** Builds the packages: environment `build`, one step a unit. */
      readonly plan: Plan;
      /** Tests them: a unit and an environment `test:NAME` for each package with a test. */
      readonly tests: Plan;
      /** What the environments of both plans are to hold, by name. */
      readonly environments: Readonly<Record<string, EnvironmentRequest>>;
      /** The main package first, then subpackages in order. */
      readonly packages: readonly PlannedPackage[];
      readonly warnings: readonly Problem[];
    }
  | {
      readonly kind: "skipped";
      readonly recipe: Recipe;
      /** Why: the recipe is not for this architecture. */
      readonly reason: string;
      readonly warnings: readonly Problem[];
    };

/**
 * Compiles a recipe. Reads nothing but what `pipelines` gives it. Rejects with a MelangeError: code `recipe` with all problems
 * of a stage (reading, expanding, compiling) and their places, or code `usage` for an unknown architecture.
 */
export async function compileRecipe(options: CompileOptions): Promise<CompiledRecipe> {
  const problems = collectProblems();
  const { file, arch, recipe, budget, pipelines } = await prepareRecipe(options, problems);
  const { warnings } = problems;
  if ("skipped" in pipelines) return { kind: "skipped", recipe: plain(recipe), reason: pipelines.skipped, warnings };
  const setting = { file, arch, options, recipe, pipelines, problems, budget };
  const build = buildPlan(setting);
  const tests = testPlan(setting);
  throwProblems(file, problems);
  return {
    kind: "compiled",
    recipe: plain(recipe),
    plan: build.plan,
    tests: tests.plan,
    environments: { ...build.environments, ...tests.environments },
    packages: plannedPackages(setting),
    warnings,
  };
}
