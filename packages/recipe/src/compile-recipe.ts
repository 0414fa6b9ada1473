import type { EnvironmentRequest, Mount, Plan, PlannedPackage, Problem, StringMap, Unit } from "@melange2/core";
import { architecture, architectures } from "./architecture.ts";
import { applyBuildOptions } from "./build-options.ts";
import { sortedSet } from "./byte-order.ts";
import { type CompiledStep, compileSteps, neededPackages, workspace } from "./compile-steps.ts";
import { mainVariables, packageDirectory, subpackageVariables } from "./compile-variables.ts";
import {
  checkEnvironment,
  type EnvironmentAdditions,
  environmentRequest,
  environmentVariables,
  processEnvironment,
  stepUser,
} from "./environment-request.ts";
import { expandRecipe } from "./expand.ts";
import { loadReplaceAll, type ReplaceAll } from "./go-regexp.ts";
import { type PipelineSource, pipelineDefinitions } from "./pipeline-definitions.ts";
import { type Plain, plain } from "./plain.ts";
import { type RecipeSource, recipe as recipeDecoder, type SubpackageSource, type TestSource } from "./schema.ts";
import { collectProblems, type Problems, recipeError, type SourceFile, sourceFile } from "./source.ts";
import { planSteps, type StepSetting, unitsOf } from "./step-plan.ts";
import { isIncluded } from "./subpackage-condition.ts";
import { validateRecipe } from "./validate.ts";
import type { Variables } from "./variables.ts";
import { parseYaml } from "./yaml-document.ts";

/** A recipe as data, expanded and substituted, with the keys of the YAML: `recipe.package["target-architecture"]`. */
export type Recipe = Plain<RecipeSource>;

export interface CompileOptions {
  /** How messages and plan call the recipe: a path. */
  readonly file: string;
  readonly text: string;
  /** apk or OCI name: `x86_64`, `arm64`. */
  readonly arch: string;
  /** Where `uses` finds its pipelines. */
  readonly pipelines: PipelineSource;
  /** Variables of the environment, from env files; the recipe's own win. No secrets: these are recorded. */
  readonly environment?: StringMap;
  /** Names of secrets for the environment of every step. */
  readonly secretEnv?: readonly string[];
  /** Packages, repositories and keys for the environments, beside the recipe's. */
  readonly additions?: Partial<EnvironmentAdditions>;
  /** The options of the recipe's `options` to build with. Unknown names are melange's to ignore, and ours to warn about. */
  readonly buildOptions?: readonly string[];
  /** What `${{host.triplet.*}}` says about the C library. Default gnu. */
  readonly libc?: "gnu" | "musl";
  /** Seconds since 1970, SOURCE_DATE_EPOCH of the build's steps. Default 0. */
  readonly sourceDateEpoch?: number;
  /** A directory of the host, absolute, that steps see at /var/cache/melange. */
  readonly cacheDirectory?: string;
  /** Seconds that one step may take. The recipe's own timeout holds where it is shorter. */
  readonly stepTimeout?: number;
  /** Steps show each command before they run it. */
  readonly debug?: boolean;
}

export type CompiledRecipe =
  | {
      readonly kind: "compiled";
      readonly recipe: Recipe;
      /** Builds the packages: environment `build`, one step a unit. */
      readonly plan: Plan;
      /** Tests them: a unit and an environment `test:NAME` for each package with a test. */
      readonly tests: Plan;
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
 * Compiles a recipe. Reads nothing but what `pipelines` gives it. Rejects with a MelangeError of code `recipe` that lists
 * all problems of a stage with their places: reading, then meaning.
 */
export async function compileRecipe(options: CompileOptions): Promise<CompiledRecipe> {
  const problems = collectProblems();
  const file = sourceFile(options.file, options.text);
  const target = architecture(options.arch);
  if (!target) {
    throw new TypeError(`unknown architecture "${options.arch}": known are ${architectures.join(", ")}`);
  }
  const source = readSource(file, problems);
  const replaceAll = source["var-transforms"].length > 0 ? await loadReplaceAll() : withoutTransforms;
  const expanded = expandRecipe(source, replaceAll, problems);
  validateRecipe(expanded, problems);
  throwProblems(file, problems);

  const refused = refusedArchitecture(expanded, target.arch, problems);
  if (refused) return { kind: "skipped", recipe: plain(expanded), reason: refused, warnings: problems.warnings };

  const recipe = applyBuildOptions(expanded, options.buildOptions ?? [], problems);
  const variables = mainVariables(
    recipe,
    { architecture: target, libc: options.libc ?? "gnu", buildOptions: options.buildOptions ?? [] },
    replaceAll,
    problems,
  );
  const pipelines = compilePipelines(recipe, variables, options.pipelines, problems);
  const setting = { file, arch: target.arch, options, recipe, pipelines, problems };
  const plan = buildPlan(setting);
  const tests = testPlan(setting);
  throwProblems(file, problems);
  return { kind: "compiled", recipe: plain(recipe), plan, tests, warnings: problems.warnings };
}

const withoutTransforms: ReplaceAll = (input) => input;

function throwProblems(file: SourceFile, problems: Problems): void {
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

function refusedArchitecture(recipe: RecipeSource, arch: string, problems: Problems): string | undefined {
  const targets = recipe.package["target-architecture"];
  const names = targets.map((each) => each.value);
  if (targets[0] && names.length === 1 && names[0] === "all") {
    problems.warn('the target architecture "all" is deprecated', targets[0].place, { hint: "Leave the list out." });
    return undefined;
  }
  if (names.length === 0 || names.includes(arch)) return undefined;
  return `${recipe.package.name.value} is not built for ${arch}, only for ${names.join(", ")}`;
}

/** All the pipelines of a recipe, compiled. */
interface Pipelines {
  readonly main: readonly CompiledStep[];
  readonly mainTest: readonly CompiledStep[];
  readonly subpackages: readonly {
    readonly source: SubpackageSource;
    readonly included: boolean;
    readonly steps: readonly CompiledStep[];
    readonly test: readonly CompiledStep[];
  }[];
}

function compilePipelines(
  recipe: RecipeSource,
  variables: Variables,
  pipelines: PipelineSource,
  problems: Problems,
): Pipelines {
  const definitions = pipelineDefinitions(pipelines, problems);
  const scope = { variables, definitions, problems };
  return {
    main: compileSteps(recipe.pipeline, "", scope),
    mainTest: compileSteps(recipe.test?.pipeline ?? [], "test", scope),
    subpackages: recipe.subpackages.map((source, index) => {
      const inside = { ...scope, variables: subpackageVariables(variables, source.name.value) };
      return {
        source,
        included: isIncluded(source, variables, problems),
        steps: compileSteps(source.pipeline, `subpackages[${index}]`, inside),
        test: compileSteps(source.test?.pipeline ?? [], `subpackages[${index}].test`, inside),
      };
    }),
  };
}

interface PlanSetting {
  readonly file: SourceFile;
  readonly arch: string;
  readonly options: CompileOptions;
  readonly recipe: RecipeSource;
  readonly pipelines: Pipelines;
  readonly problems: Problems;
}

const buildEnvironment = "build";

function buildPlan(setting: PlanSetting): Plan {
  const { options, recipe, pipelines, problems } = setting;
  const name = recipe.package.name.value;
  checkEnvironment(recipe.environment, problems);
  const request = environmentRequest(
    recipe.environment,
    [
      ...plain(recipe.environment.contents.packages),
      ...neededPackages(pipelines.main),
      ...pipelines.subpackages.flatMap(({ steps }) => neededPackages(steps)),
    ],
    additionsOf(options),
    [packageDirectory(name)],
  );
  const variables = environmentVariables(options.environment ?? {}, recipe.environment);
  const common = {
    ...commonSetting(setting),
    env: processEnvironment(variables, options.sourceDateEpoch ?? 0),
    user: stepUser(request, recipe.environment, problems),
  };
  const main = planSteps(pipelines.main, { ...common, idPrefix: "main", package: name, directories: [] });
  const subpackages = pipelines.subpackages
    .filter(({ included }) => included)
    .flatMap(({ source, steps }) =>
      planSteps(steps, {
        ...common,
        idPrefix: `sub.${source.name.value}`,
        package: source.name.value,
        // Not before its turn: the pipelines that split packages look at which directories there are.
        directories: [packageDirectory(source.name.value)],
      }),
    );
  return {
    ...planHead(setting),
    environments: { [buildEnvironment]: request },
    units: unitsOf([...main, ...subpackages], buildEnvironment),
  };
}

function testPlan(setting: PlanSetting): Plan {
  const { recipe, pipelines } = setting;
  const tests = [
    { name: recipe.package.name.value, idPrefix: "test", test: recipe.test, steps: pipelines.mainTest },
    ...pipelines.subpackages
      .filter(({ included }) => included)
      .map(({ source, test }) => ({
        name: source.name.value,
        idPrefix: `subtest.${source.name.value}`,
        test: source.test,
        steps: test,
      })),
  ];
  const environments: Record<string, EnvironmentRequest> = {};
  const units: Unit[] = [];
  for (const { name, idPrefix, test, steps } of tests) {
    if (!test) continue;
    const planned = planTest(name, idPrefix, test, steps, setting);
    if (planned.unit.steps.length === 0) continue;
    environments[planned.unit.environment] = planned.request;
    units.push(planned.unit);
  }
  return { ...planHead(setting), environments, units };
}

function planTest(
  name: string,
  idPrefix: string,
  test: TestSource,
  compiled: readonly CompiledStep[],
  setting: PlanSetting,
): { readonly unit: Unit; readonly request: EnvironmentRequest } {
  const { options, recipe, problems } = setting;
  checkEnvironment(test.environment, problems);
  const packages = sortedSet([...plain(test.environment.contents.packages), ...neededPackages(compiled), name]);
  const request = environmentRequest(test.environment, packages, additionsOf(options), []);
  const variables = {
    ...environmentVariables(options.environment ?? {}, recipe.environment),
    ...plain(test.environment.environment),
  };
  const steps = planSteps(compiled, {
    ...commonSetting(setting),
    idPrefix,
    package: name,
    // Tests have no SOURCE_DATE_EPOCH.
    env: processEnvironment(variables, undefined),
    user: stepUser(request, test.environment, problems),
    directories: [],
  });
  return { unit: { id: idPrefix, steps, environment: `test:${name}` }, request };
}

function additionsOf({ additions }: CompileOptions): EnvironmentAdditions {
  return { packages: [], repositories: [], keyring: [], ...additions };
}

function commonSetting({
  options,
  recipe,
}: PlanSetting): Pick<StepSetting, "secretEnv" | "capabilities" | "mounts" | "timeout" | "debug"> {
  const limits = [recipe.package.timeout, options.stepTimeout ?? 0].filter((seconds) => seconds > 0);
  const mounts: readonly Mount[] =
    options.cacheDirectory === undefined
      ? []
      : [{ kind: "cache", source: options.cacheDirectory, target: "/var/cache/melange" }];
  return {
    secretEnv: options.secretEnv ?? [],
    capabilities: { add: plain(recipe.capabilities.add), drop: plain(recipe.capabilities.drop) },
    mounts,
    timeout: limits.length > 0 ? Math.min(...limits) : undefined,
    debug: options.debug ?? false,
  };
}

function planHead({ file, arch, recipe, pipelines }: PlanSetting): Omit<Plan, "environments" | "units"> {
  const { name, version, epoch, description } = recipe.package;
  const planned = (packageName: string, text: string): PlannedPackage => ({
    name: packageName,
    version: version.value,
    epoch,
    description: text,
    directory: packageDirectory(packageName),
  });
  const main = planned(name.value, description.value);
  const subpackages = pipelines.subpackages
    .filter(({ included }) => included)
    .map(({ source }) => planned(source.name.value, source.description.value));
  return {
    recipe: { file: file.name, text: file.text },
    package: main,
    packages: [main, ...subpackages],
    arch,
    workspace,
  };
}
