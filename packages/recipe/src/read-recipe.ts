import { readFile } from "node:fs/promises";
import { MelangeError } from "@melange2/core";
import type { CompileOptions } from "./compile-options.ts";
import { type CompiledRecipe, compileRecipe } from "./compile-recipe.ts";
import { pipelineDirectories } from "./pipeline-directories.ts";

export interface ReadOptions extends Omit<CompileOptions, "file" | "text" | "pipelines"> {
  /** Searched for `uses` in this order, before the built-in pipelines. */
  readonly pipelineDirectories?: readonly string[];
}

/** Reads and compiles a recipe file. Rejects with code `not-found` when there is none, `recipe` when it is no good. */
export async function readRecipe(path: string, options: ReadOptions): Promise<CompiledRecipe> {
  const { pipelineDirectories: directories = [], ...rest } = options;
  const text = await readRecipeText(path);
  return compileRecipe({ ...rest, file: path, text, pipelines: pipelineDirectories(directories) });
}

async function readRecipeText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new MelangeError("not-found", `the recipe ${path} cannot be read`, {
      hint: "Give the path of a melange YAML file.",
      cause,
    });
  }
}
