import type { CompileOptions } from "./compile-options.ts";
import { compileRecipe } from "./compile-recipe.ts";
import type { CompiledRecipe, SkippedRecipe } from "./compiled-recipe.ts";
import { type ParsedRecipe, parseRecipe } from "./parse-recipe.ts";
import { pipelineDirectories } from "./pipeline-directories.ts";
import { type PlanOptions, planBuild, type RecipePlan } from "./plan-recipe.ts";
import { readTextFile } from "./text-file.ts";

export interface FileOptions {
  /** The path of a YAML map of values for `vars`, over the recipe's own. */
  readonly varsFile?: string | undefined;
}

export interface ReadOptions extends FileOptions, Omit<CompileOptions, "pipelines">, PlanOptions {
  /** Searched for `uses` in this order, before the built-in pipelines. */
  readonly pipelineDirectories?: readonly string[];
}

/** A compiled recipe with the plan that builds its packages. */
export type PlannedRecipe = CompiledRecipe & RecipePlan;

/** Reads and parses a recipe file. Rejects with code `not-found` when there is no such file, `recipe` when it is no good. */
export async function parseRecipeFile(path: string, { varsFile }: FileOptions = {}): Promise<ParsedRecipe> {
  const text = readTextFile(path, "the recipe");
  if (varsFile === undefined) return parseRecipe({ file: path, text });
  return parseRecipe({
    file: path,
    text,
    varsFile: { file: varsFile, text: readTextFile(varsFile, "the file of vars") },
  });
}

/**
 * Reads a recipe file, compiles it and plans its build. Rejects with code `not-found` when there is no such file, `recipe` when
 * it is no good.
 */
export async function readRecipe(path: string, options: ReadOptions): Promise<PlannedRecipe | SkippedRecipe> {
  const parsed = await parseRecipeFile(path, options);
  const pipelines = pipelineDirectories(options.pipelineDirectories ?? []);
  const compiled = await compileRecipe(parsed, { ...options, pipelines });
  return compiled.kind === "skipped" ? compiled : { ...compiled, ...planBuild(compiled, options) };
}
