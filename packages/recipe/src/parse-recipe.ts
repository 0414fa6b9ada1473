import type { Problem } from "@melange2/core";
import { mapOf, text as textDecoder } from "./decode.ts";
import { expandRecipe } from "./expand.ts";
import { loadReplaceAll, type ReplaceAll } from "./go-regexp.ts";
import { fullBudget } from "./limits.ts";
import { type Plain, plain } from "./plain.ts";
import { type RecipeScope, recipeScope } from "./recipe-scope.ts";
import { type RecipeSource, recipe as recipeDecoder } from "./schema.ts";
import { collectProblems, type Problems, recipeError, type SourceFile, sourceFile } from "./source.ts";
import { validateRecipe } from "./validate.ts";
import { parseYaml } from "./yaml-document.ts";

export interface ParseOptions {
  /** How messages and plan call the recipe: a path. */
  readonly file: string;
  readonly text: string;
  /** A YAML map of values for `vars`, over the recipe's own. */
  readonly varsFile?: { readonly file: string; readonly text: string } | undefined;
}

/** A recipe as data, expanded and substituted, with the keys of the YAML: `recipe.package["target-architecture"]`. */
export type Recipe = Plain<RecipeSource>;

/**
 * A recipe as it is read, before there is an architecture and before any pipeline is loaded: ranges are expanded, and the
 * variables that the recipe itself knows are pasted. Made by {@link parseRecipe} only.
 */
export interface ParsedRecipe {
  /** As the caller named it: a path. */
  readonly file: string;
  readonly text: string;
  readonly recipe: Recipe;
  readonly warnings: readonly Problem[];
  /** What keeps the recipe from being built, though it can be read and compiled. */
  readonly refusals: readonly Problem[];
}

/** What compiling takes beside the data. */
export interface ParsedSource {
  /** The recipe, every text with its place. */
  readonly source: RecipeSource;
  /** `package.*`, `vars.*` and what transforms make. */
  readonly scope: RecipeScope;
  readonly replaceAll: ReplaceAll;
}

const sources = new WeakMap<ParsedRecipe, ParsedSource>();

/** Throws TypeError for what {@link parseRecipe} did not make. */
export function parsedSource(parsed: ParsedRecipe): ParsedSource {
  const source = sources.get(parsed);
  if (!source) throw new TypeError("this recipe was not made by parseRecipe");
  return source;
}

/** Parses a recipe. Reads no file. Rejects with code `recipe`, with all problems of reading, or of expanding, and their places. */
export async function parseRecipe({ file: name, text, varsFile }: ParseOptions): Promise<ParsedRecipe> {
  const problems = collectProblems();
  const refusals = collectProblems();
  const budget = fullBudget();
  const file = sourceFile(name, text);
  const recipe = readSource(file, problems);
  const read = varsFile ? { ...recipe, vars: new Map([...recipe.vars, ...readVars(varsFile, problems)]) } : recipe;
  const replaceAll = read["var-transforms"].length > 0 ? await loadReplaceAll() : withoutTransforms;
  const scope = recipeScope(read, { replaceAll, problems, budget });
  const source = expandRecipe(read, scope, problems, budget);
  scope.reportCircles(problems);
  validateRecipe(source, problems, refusals);
  throwProblems(name, problems.errors);
  const parsed = {
    file: name,
    text,
    recipe: plain(source),
    warnings: problems.warnings,
    refusals: refusals.errors,
  };
  sources.set(parsed, { source, scope, replaceAll });
  return parsed;
}

const withoutTransforms: ReplaceAll = (input) => input;

/** Throws the problems of a file as one error of code `recipe`, if there are any. */
export function throwProblems(file: string, problems: readonly Problem[]): void {
  if (problems.length > 0) throw recipeError(file, problems);
}

function readSource(file: SourceFile, problems: Problems): RecipeSource {
  const place = { file, start: 0, end: file.text.length };
  const root = parseYaml(file, problems);
  if (!root && problems.errors.length === 0) {
    problems.error("the recipe is empty", place, {
      hint: "A recipe begins with a package section that has a name and a version.",
    });
  }
  throwProblems(file.name, problems.errors);
  const source = root ? recipeDecoder.decode(root, { problems, unknownKeys: "error" }) : recipeDecoder.zero(place);
  throwProblems(file.name, problems.errors);
  return source;
}

function readVars(
  { file: name, text }: NonNullable<ParseOptions["varsFile"]>,
  problems: Problems,
): RecipeSource["vars"] {
  const file = sourceFile(name, text);
  const root = parseYaml(file, problems);
  const vars = root ? mapOf(textDecoder).decode(root, { problems, unknownKeys: "error" }) : new Map();
  throwProblems(file.name, problems.errors);
  return vars;
}
