import type { CompileOptions } from "./compile-options.ts";
import { compileRecipe } from "./compile-recipe.ts";
import type { CompiledRecipe, SkippedRecipe } from "./compiled-recipe.ts";
import { type ParseOptions, parseRecipe } from "./parse-recipe.ts";
import { pipelineDirectories } from "./pipeline-directories.ts";
import { type PlanOptions, planBuild, type RecipePlan } from "./plan-recipe.ts";
import { readTextFile } from "./text-file.ts";

export interface ReadOptions extends Omit<CompileOptions, "pipelines">, Pick<ParseOptions, "variables">, PlanOptions {
  /** Searched for `uses` in this order, before the built-in pipelines. */
  readonly pipelineDirectories?: readonly string[];
}

/** A compiled recipe with the plan that builds its packages. */
export type PlannedRecipe = CompiledRecipe & RecipePlan;

/**
 * Reads a recipe file, compiles it and plans its build. Rejects with code `not-found` when there is no such file, `recipe` when
 * it is no good.
 */
export async function readRecipe(path: string, options: ReadOptions): Promise<PlannedRecipe | SkippedRecipe> {
  const { pipelineDirectories: directories = [], variables = {} } = options;
  const parsed = await parseRecipe({ file: path, text: readTextFile(path, "the recipe"), variables });
  const compiled = await compileRecipe(parsed, { ...options, pipelines: pipelineDirectories(directories) });
  return compiled.kind === "skipped" ? compiled : { ...compiled, ...planBuild(compiled, options) };
}
