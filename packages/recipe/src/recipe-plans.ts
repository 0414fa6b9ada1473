import type { CacheMount, Plan, Unit } from "@melange2/core";
import { sortedSet } from "./byte-order.ts";
import type { CompileOptions } from "./compile-options.ts";
import { type CompiledStep, neededPackages, workspace } from "./compile-steps.ts";
import { packageDirectory } from "./compile-variables.ts";
import {
  checkEnvironment,
  type EnvironmentAdditions,
  environmentRequest,
  environmentVariables,
  processEnvironment,
  stepUser,
} from "./environment-request.ts";
import type { Budget } from "./limits.ts";
import { plain } from "./plain.ts";
import type { EnvironmentRequest, PlannedPackage } from "./planned.ts";
import type { RecipePipelines } from "./recipe-pipelines.ts";
import type { RecipeSource, TestSource } from "./schema.ts";
import type { Problems, SourceFile } from "./source.ts";
import { planSteps, type StepSetting, unitsOf } from "./step-plan.ts";

/** A recipe with its compiled pipelines, and how it is to be built. */
export interface PlanSetting {
  readonly file: SourceFile;
  readonly arch: string;
  readonly options: CompileOptions;
  readonly recipe: RecipeSource;
  readonly pipelines: RecipePipelines;
  readonly problems: Problems;
  readonly budget: Budget;
}

const buildEnvironment = "build";

/** A plan, and what its environments are to hold, by name. */
export interface RecipePlan {
  readonly plan: Plan;
  readonly environments: Readonly<Record<string, EnvironmentRequest>>;
}

export function buildPlan(setting: PlanSetting): RecipePlan {
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
  const units = unitsOf([...main, ...subpackages], buildEnvironment);
  return {
    plan: { ...planHead(setting), environments: [buildEnvironment], units },
    environments: { [buildEnvironment]: request },
  };
}

export function testPlan(setting: PlanSetting): RecipePlan {
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
    environments[planned.unit.from.environment] = planned.request;
    units.push(planned.unit);
  }
  return { plan: { ...planHead(setting), environments: Object.keys(environments), units, outputs: [] }, environments };
}

function planTest(
  name: string,
  idPrefix: string,
  test: TestSource,
  compiled: readonly CompiledStep[],
  setting: PlanSetting,
): { readonly unit: Unit & { from: { environment: string } }; readonly request: EnvironmentRequest } {
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
  return { unit: { id: idPrefix, steps, from: { environment: `test:${name}` }, purpose: "test" }, request };
}

function additionsOf({ additions }: CompileOptions): EnvironmentAdditions {
  return { packages: [], repositories: [], keyring: [], ...additions };
}

function commonSetting({
  options,
  recipe,
  budget,
}: PlanSetting): Pick<StepSetting, "secretEnv" | "capabilities" | "mounts" | "timeout" | "debug" | "budget"> {
  const limits = [recipe.package.timeout, options.stepTimeout ?? 0].filter((seconds) => seconds > 0);
  const directory =
    options.cacheDirectory === undefined ? [] : [{ source: options.cacheDirectory, target: "/var/cache/melange" }];
  const mounts = [...directory, ...(options.caches ?? [])].map(
    ({ source, target }): CacheMount => ({ kind: "cache", source, target }),
  );
  return {
    secretEnv: options.secretEnv ?? [],
    capabilities: { add: plain(recipe.capabilities.add), drop: plain(recipe.capabilities.drop) },
    mounts,
    timeout: limits.length > 0 ? Math.min(...limits) : undefined,
    debug: options.debug ?? false,
    budget,
  };
}

/** The packages that are made here: the main package first, then the included subpackages in order. */
export function plannedPackages({ recipe, pipelines }: PlanSetting): readonly PlannedPackage[] {
  const { name, version, epoch, description } = recipe.package;
  const planned = (packageName: string, text: string): PlannedPackage => ({
    name: packageName,
    version: version.value,
    epoch,
    description: text,
    directory: packageDirectory(packageName),
  });
  const subpackages = pipelines.subpackages.filter(({ included }) => included);
  return [
    planned(name.value, description.value),
    ...subpackages.map(({ source }) => planned(source.name.value, source.description.value)),
  ];
}

function planHead(setting: PlanSetting): Omit<Plan, "environments" | "units"> {
  const { file, arch, recipe } = setting;
  const { name, version, epoch } = recipe.package;
  return {
    source: { kind: "melange", file: file.name, text: file.text, copyName: "recipe.yaml" },
    subject: { name: name.value, version: `${version.value}-r${epoch}`, arch },
    workspace,
    outputs: plannedPackages(setting).map((one) => ({ name: one.name, directory: one.directory })),
  };
}
