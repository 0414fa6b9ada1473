import type { Problem } from "@melange2/core";
import {
  type CompiledRecipe,
  compiledConfiguration,
  compileRecipe,
  parseRecipeFile,
  pipelineDirectories,
  queryRecipe,
  yamlText,
} from "@melange2/recipe";
import { hostArchitecture, refuseMissingFolder } from "./compile-build.ts";

// What can be said of a recipe without building it. Nothing is run and nothing is fetched.

export interface CompileFileOptions {
  readonly arch?: string | undefined;
  readonly varsFile?: string | undefined;
  readonly buildOptions?: readonly string[];
  readonly libc?: "gnu" | "musl";
  readonly pipelineDirectories?: readonly string[];
}

export type CompiledFile =
  | { readonly skipped: string; readonly warnings: readonly Problem[] }
  | {
      /** The recipe as it is built, as packages hold it: plain data. */
      readonly configuration: object;
      /** The same as YAML. */
      readonly text: string;
      /** What a build of the packages, or a test of them, refuses among them. */
      readonly warnings: readonly Problem[];
    };

/** Rejects with `recipe`, `not-found` or `usage`. */
export async function compileFile(recipe: string, options: CompileFileOptions): Promise<CompiledFile> {
  const directories = options.pipelineDirectories ?? [];
  directories.forEach(refuseMissingFolder);
  const parsed = await parseRecipeFile(recipe, { varsFile: options.varsFile });
  const compiled = await compileRecipe(parsed, {
    arch: options.arch ?? hostArchitecture(),
    pipelines: pipelineDirectories(directories),
    buildOptions: options.buildOptions ?? [],
    ...(options.libc === undefined ? {} : { libc: options.libc }),
  });
  if (compiled.kind === "skipped") return { skipped: compiled.reason, warnings: compiled.warnings };
  const configuration = await compiledConfiguration(compiled);
  return { configuration, text: yamlText(configuration), warnings: [...compiled.warnings, ...refusalsOf(compiled)] };
}

function refusalsOf({ refusals, packages }: CompiledRecipe): readonly Problem[] {
  const all = [...refusals, ...packages.flatMap(({ test }) => test?.refusals ?? [])];
  return all.map((problem) => ({ ...problem, message: `${problem.message}: the recipe compiles, but does not build` }));
}

/** Fields of a recipe, as `package.version`, with what is there; undefined: nothing. */
export async function queryFile(
  recipe: string,
  fields: readonly string[],
  { varsFile }: Pick<CompileFileOptions, "varsFile"> = {},
): Promise<readonly (readonly [field: string, value: unknown])[]> {
  const { recipe: parsed } = await parseRecipeFile(recipe, { varsFile });
  return fields.map((field) => [field, queryRecipe(parsed, field)] as const);
}

/** What a recipe's package is called. */
export async function packageVersion(
  recipe: string,
): Promise<{ readonly name: string; readonly version: string; readonly epoch: number }> {
  const { name, version, epoch } = (await parseRecipeFile(recipe)).recipe.package;
  return { name, version, epoch };
}

export { yamlText };
