import type { Plan, Problem } from "@melange2/core";
import {
  type CompiledPackage,
  type CompileOptions,
  compileRecipe,
  type ParseOptions,
  type PlanOptions,
  parseRecipe,
  planBuild,
  planTests,
  type Recipe,
  type RecipePlan,
  type SkippedRecipe,
} from "../src/index.ts";

export type PlannedOptions = ParseOptions & CompileOptions & PlanOptions;

/** A recipe with both its plans. */
export interface Planned {
  readonly kind: "compiled";
  readonly recipe: Recipe;
  readonly plan: Plan;
  readonly tests: Plan;
  readonly environments: RecipePlan["environments"];
  /** Those that are built. */
  readonly packages: readonly CompiledPackage[];
  readonly warnings: readonly Problem[];
}

/** Parses, compiles and plans. */
export async function plannedRecipe(options: PlannedOptions): Promise<Planned | SkippedRecipe> {
  const parsed = await parseRecipe(options);
  const compiled = await compileRecipe(parsed, options);
  if (compiled.kind === "skipped") return compiled;
  const build = planBuild(compiled, options);
  const tests = planTests(compiled, options);
  return {
    kind: "compiled",
    recipe: parsed.recipe,
    plan: build.plan,
    tests: tests.plan,
    environments: { ...build.environments, ...tests.environments },
    packages: compiled.packages.filter(({ included }) => included),
    warnings: compiled.warnings,
  };
}
