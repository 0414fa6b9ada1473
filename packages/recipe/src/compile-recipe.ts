import { MelangeError, type StringMap } from "@melange2/core";
import { architecture, architectures } from "./architecture.ts";
import { applyBuildOptions } from "./build-options.ts";
import { sortedSet } from "./byte-order.ts";
import type { CompileOptions } from "./compile-options.ts";
import { compileSteps, neededPackages, type StepScope } from "./compile-steps.ts";
import { mainVariables, packageDirectory, subpackageVariables } from "./compile-variables.ts";
import type {
  CompiledEnvironment,
  CompiledPackage,
  CompiledRecipe,
  CompiledTest,
  SkippedRecipe,
} from "./compiled-recipe.ts";
import {
  checkEnvironment,
  type EnvironmentAdditions,
  environmentRequest,
  environmentVariables,
  stepUser,
} from "./environment-request.ts";
import { fullBudget } from "./limits.ts";
import { type ParsedRecipe, parsedSource, type Recipe, throwProblems } from "./parse-recipe.ts";
import { pipelineDefinitions } from "./pipeline-definitions.ts";
import { plain } from "./plain.ts";
import { recipeScope } from "./recipe-scope.ts";
import type { EnvironmentSource, RecipeSource, SubpackageSource, TestSource } from "./schema.ts";
import { checkShellSyntax, sharedShellParser } from "./shell-syntax.ts";
import { collectProblems, type Problems } from "./source.ts";
import { isIncluded } from "./subpackage-condition.ts";

/**
 * Compiles a parsed recipe for an architecture. Reads nothing but what `pipelines` gives it, and leaves `parsed` as it is.
 * Rejects with a MelangeError: code `recipe` with all problems and their places, or code `usage` for an unknown architecture.
 */
export async function compileRecipe(
  parsed: ParsedRecipe,
  options: CompileOptions,
): Promise<CompiledRecipe | SkippedRecipe> {
  const target = architecture(options.arch);
  if (!target) {
    throw new MelangeError("usage", `there is no architecture "${options.arch}"`, {
      hint: `Known: ${architectures.join(", ")}.`,
    });
  }
  const { source: written, scope: ownScope, replaceAll } = parsedSource(parsed);
  const problems = collectProblems(parsed.warnings);
  const refusals = collectProblems();
  const reason = otherArchitectures(written, target.arch, problems);
  if (reason !== undefined) return { kind: "skipped", reason, warnings: problems.warnings };
  // The parser gets ready while the steps are compiled.
  const shellParser = sharedShellParser();
  shellParser.catch(() => {});

  const buildOptions = options.buildOptions ?? [];
  const source = applyBuildOptions(written, buildOptions, problems);
  const recipe = source === written ? parsed.recipe : plain(source);
  const budget = fullBudget();
  // Build options change vars, on which transforms depend.
  const known = source === written ? ownScope : recipeScope(source, { replaceAll, problems, budget });
  known.checkVars(problems);
  const scope: StepScope = {
    variables: mainVariables(source, known, { architecture: target, libc: options.libc ?? "gnu", buildOptions }),
    definitions: pipelineDefinitions(options.pipelines, problems),
    problems,
    refusals,
    budget,
    scripts: [],
    environmentSize: Object.keys(environmentVariables(options.environment ?? {}, source.environment)).length,
  };
  const packages = compilePackages(source, recipe, scope, options);
  const environment = buildEnvironment(source, packages, scope, options);
  // What did not resolve is no shell either: one message for one mistake.
  if (problems.errors.length === 0) checkShellSyntax(await shellParser, scope.scripts, problems);
  throwProblems(parsed.file, problems.errors);
  return {
    kind: "compiled",
    file: parsed.file,
    text: parsed.text,
    arch: target.arch,
    recipe,
    environment,
    packages,
    warnings: problems.warnings,
    refusals: [...parsed.refusals, ...refusals.errors],
  };
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

function compilePackages(
  source: RecipeSource,
  recipe: Recipe,
  scope: StepScope,
  options: CompileOptions,
): readonly CompiledPackage[] {
  const { name } = recipe.package;
  const main: CompiledPackage = {
    name,
    source: { kind: "package", ...recipe.package },
    included: true,
    directory: packageDirectory(name),
    steps: compileSteps(source.pipeline, "", scope),
    test: source.test && compileTest(name, source.test, "test", scope, source, options),
  };
  const subpackages = recipe.subpackages.flatMap((data, index) => {
    const subpackage = source.subpackages[index];
    return subpackage ? [compileSubpackage(subpackage, data, index, scope, source, options)] : [];
  });
  return [main, ...subpackages];
}

function compileSubpackage(
  subpackage: SubpackageSource,
  data: Recipe["subpackages"][number],
  index: number,
  outer: StepScope,
  recipe: RecipeSource,
  options: CompileOptions,
): CompiledPackage {
  const { pipeline, test } = subpackage;
  const { name } = data;
  const path = `subpackages[${index}]`;
  const included = isIncluded(subpackage, outer.variables, outer.problems);
  // Nothing is refused for the sake of what is not built.
  const refusals = included ? outer.refusals : collectProblems();
  const scope = { ...outer, refusals, variables: subpackageVariables(outer.variables, name) };
  return {
    name,
    source: { kind: "subpackage", ...data },
    included,
    directory: packageDirectory(name),
    steps: compileSteps(pipeline, path, scope),
    test: test && compileTest(name, test, `${path}.test`, scope, recipe, options),
  };
}

function compileTest(
  name: string,
  test: TestSource,
  path: string,
  outer: StepScope,
  recipe: RecipeSource,
  options: CompileOptions,
): CompiledTest {
  const refusals = collectProblems();
  const scope = { ...outer, refusals, environmentSize: outer.environmentSize + test.environment.environment.size };
  const steps = compileSteps(test.pipeline, path, scope);
  const variables = {
    ...environmentVariables(options.environment ?? {}, recipe.environment),
    ...plain(test.environment.environment),
  };
  const packages = sortedSet([...plain(test.environment.contents.packages), ...neededPackages(steps), name]);
  const environment = compileEnvironment(test.environment, { packages, variables, directories: [] }, scope, options);
  return { environment, steps, refusals: refusals.errors };
}

function buildEnvironment(
  recipe: RecipeSource,
  packages: readonly CompiledPackage[],
  scope: StepScope,
  options: CompileOptions,
): CompiledEnvironment {
  const { environment } = recipe;
  return compileEnvironment(
    environment,
    {
      packages: [...plain(environment.contents.packages), ...packages.flatMap(({ steps }) => neededPackages(steps))],
      variables: environmentVariables(options.environment ?? {}, environment),
      directories: [packageDirectory(recipe.package.name.value)],
    },
    scope,
    options,
  );
}

function compileEnvironment(
  source: EnvironmentSource,
  setting: { packages: readonly string[]; variables: StringMap; directories: readonly string[] },
  { problems, refusals }: Pick<StepScope, "problems" | "refusals">,
  { additions }: CompileOptions,
): CompiledEnvironment {
  const asked: EnvironmentAdditions = { packages: [], repositories: [], keyring: [], ...additions };
  checkEnvironment(source, problems, refusals);
  const request = environmentRequest(source, { ...setting, additions: asked });
  return { source: plain(source), request, user: stepUser(request, source, refusals) };
}
