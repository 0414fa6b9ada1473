import type { CompileOptions } from "./compile-options.ts";
import { type CompiledRecipe, compileRecipe } from "./compile-recipe.ts";
import { pipelineDirectories } from "./pipeline-directories.ts";
import { readTextFile } from "./text-file.ts";

export interface ReadOptions extends Omit<CompileOptions, "file" | "text" | "pipelines"> {
  /** Searched for `uses` in this order, before the built-in pipelines. */
  readonly pipelineDirectories?: readonly string[];
}

/** Reads and compiles a recipe file. Rejects with code `not-found` when there is none, `recipe` when it is no good. */
export async function readRecipe(path: string, options: ReadOptions): Promise<CompiledRecipe> {
  const { pipelineDirectories: directories = [], ...rest } = options;
  const text = readTextFile(path, "the recipe");
  return compileRecipe({ ...rest, file: path, text, pipelines: pipelineDirectories(directories) });
}
