import { MelangeError, type StringMap } from "@melange2/core";
import { architecture, architectures } from "./architecture.ts";
import { applyBuildOptions } from "./build-options.ts";
import type { CompileOptions } from "./compile-options.ts";
import { everyStep } from "./compile-steps.ts";
import { mainVariables } from "./compile-variables.ts";
import { expandRecipe } from "./expand.ts";
import { loadReplaceAll, type ReplaceAll } from "./go-regexp.ts";
import { type Budget, fullBudget } from "./limits.ts";
import { compilePipelines, type RecipePipelines } from "./recipe-pipelines.ts";
import { type RecipeSource, recipe as recipeDecoder } from "./schema.ts";
import { checkShellSyntax, type ShellFragment, sharedShellParser } from "./shell-syntax.ts";
import { type Problems, recipeError, type SourceFile, sourceFile } from "./source.ts";
import { validateRecipe } from "./validate.ts";
import { parseYaml } from "./yaml-document.ts";

/** A recipe read, expanded and, where it is for this architecture, with its pipelines compiled. */
export interface PreparedRecipe {
  readonly file: SourceFile;
  /** apk name. */
  readonly arch: string;
  readonly recipe: RecipeSource;
  /** What is left of what a recipe may use up. */
  readonly budget: Budget;
  /** Or why there is nothing to build. */
  readonly pipelines: RecipePipelines | { readonly skipped: string };
}

/** Rejects with code `recipe` after the stage (reading, expanding) that found problems; those of compiling stay in `problems`. */
export async function prepareRecipe(options: CompileOptions, problems: Problems): Promise<PreparedRecipe> {
  const target = architecture(options.arch);
  if (!target) {
    throw new MelangeError("usage", `there is no architecture "${options.arch}"`, {
      hint: `Known: ${architectures.join(", ")}.`,
    });
  }
  // The parser gets ready while the recipe is read.
  const shellParser = sharedShellParser();
  shellParser.catch(() => {});
  const file = sourceFile(options.file, options.text);
  const budget = fullBudget();
  const source = withVariables(readSource(file, problems), options.variables ?? {});
  const replaceAll = source["var-transforms"].length > 0 ? await loadReplaceAll() : withoutTransforms;
  const expanded = expandRecipe(source, replaceAll, problems, budget);
  validateRecipe(expanded, problems);
  throwProblems(file, problems);
  const { arch } = target;
  const skipped = otherArchitectures(expanded, arch, problems);
  if (skipped) return { file, arch, recipe: expanded, budget, pipelines: { skipped } };

  const buildOptions = options.buildOptions ?? [];
  const recipe = applyBuildOptions(expanded, buildOptions, problems);
  const naming = { architecture: target, libc: options.libc ?? "gnu", buildOptions };
  const variables = mainVariables(recipe, naming, replaceAll, problems, budget);
  const pipelines = compilePipelines(recipe, variables, options.pipelines, problems, budget);
  // What did not resolve is no shell either: one message for one mistake.
  if (problems.errors.length === 0) checkShellSyntax(await shellParser, scriptsOf(pipelines), problems);
  return { file, arch, recipe, budget, pipelines };
}

function scriptsOf({ main, mainTest, subpackages }: RecipePipelines): readonly ShellFragment[] {
  const steps = everyStep([...main, ...mainTest, ...subpackages.flatMap(({ steps, test }) => [...steps, ...test])]);
  return steps.map(({ fragment, fragmentPlace }) => ({ fragment, place: fragmentPlace }));
}

const withoutTransforms: ReplaceAll = (input) => input;

export function throwProblems(file: SourceFile, problems: Problems): void {
  if (problems.errors.length > 0) throw recipeError(file.name, problems.errors);
}

function readSource(file: SourceFile, problems: Problems): RecipeSource {
  const root = parseYaml(file, problems);
  if (!root && problems.errors.length === 0) {
    problems.error(
      "the recipe is empty",
      { file, start: 0, end: file.text.length },
      {
        hint: "A recipe begins with a package section that has a name and a version.",
      },
    );
  }
  throwProblems(file, problems);
  const place = { file, start: 0, end: file.text.length };
  const source = root ? recipeDecoder.decode(root, { problems, unknownKeys: "error" }) : recipeDecoder.zero(place);
  throwProblems(file, problems);
  return source;
}

function withVariables(source: RecipeSource, variables: StringMap): RecipeSource {
  const given = Object.entries(variables).map(
    ([name, value]) => [name, { value, place: source.at, template: false }] as const,
  );
  return given.length === 0 ? source : { ...source, vars: new Map([...source.vars, ...given]) };
}

/** Why the recipe is not built for `arch`, or undefined. */
function otherArchitectures(recipe: RecipeSource, arch: string, problems: Problems): string | undefined {
  const targets = recipe.package["target-architecture"];
  const names = targets.map((each) => each.value);
  if (targets[0] && names.length === 1 && names[0] === "all") {
    problems.warn('the target architecture "all" is deprecated', targets[0].place, { hint: "Leave the list out." });
    return undefined;
  }
  if (names.length === 0 || names.includes(arch)) return undefined;
  return `${recipe.package.name.value} is not built for ${arch}, only for ${names.join(", ")}`;
}
