import type { CacheMount, Plan, Unit } from "@melange2/core";
import { workspace } from "./compile-steps.ts";
import type { CompiledPackage, CompiledRecipe, CompiledTest } from "./compiled-recipe.ts";
import { type EnvironmentRequest, processEnvironment } from "./environment-request.ts";
import { throwProblems } from "./parse-recipe.ts";
import { planSteps, type StepSetting, unitsOf } from "./step-plan.ts";

/** How the steps of a plan are to run. */
export interface PlanOptions {
  /** Names of secrets for the environment of every step. */
  readonly secretEnv?: readonly string[];
  /** Seconds since 1970, SOURCE_DATE_EPOCH of the build's steps. Default 0. */
  readonly sourceDateEpoch?: number;
  /** A directory of the host, absolute, that steps see at /var/cache/melange. */
  readonly cacheDirectory?: string;
  /** Caches that the engine keeps, by their names, and where steps see them. */
  readonly caches?: readonly Omit<CacheMount, "kind">[];
  /** Seconds that one step may take. The recipe's own timeout holds where it is shorter. */
  readonly stepTimeout?: number;
  /** Steps show each command before they run it. */
  readonly debug?: boolean;
}

/** A plan, and what its environments are to hold, by name. */
export interface RecipePlan {
  readonly plan: Plan;
  readonly environments: Readonly<Record<string, EnvironmentRequest>>;
}

const environmentName = "build";

/**
 * The plan that builds a recipe's packages: environment `build`, one step a unit. Throws code `recipe` where the recipe asks
 * for what no build can give.
 */
export function planBuild(compiled: CompiledRecipe, options: PlanOptions = {}): RecipePlan {
  throwProblems(compiled.file, compiled.refusals);
  const { request, user } = compiled.environment;
  const common = {
    ...commonSetting(compiled, options),
    env: processEnvironment(request.variables, options.sourceDateEpoch ?? 0),
    user,
  };
  const steps = includedPackages(compiled).flatMap(({ name, directory, steps: own, source }) =>
    source.kind === "package"
      ? planSteps(own, { ...common, idPrefix: "main", package: name, directories: [] })
      : // Not before its turn: the pipelines that split packages look at which directories there are.
        planSteps(own, { ...common, idPrefix: `sub.${name}`, package: name, directories: [directory] }),
  );
  const outputs = includedPackages(compiled).map(({ name, directory }) => ({ name, directory }));
  const units = unitsOf(steps, environmentName);
  return {
    plan: { ...planHead(compiled), environments: [environmentName], units, outputs },
    environments: { [environmentName]: request },
  };
}

/**
 * The plan that tests a recipe's packages: a unit and an environment `test:NAME` for each package with a test of which a step
 * runs. Throws code `recipe` where a test asks for what nobody can give it.
 */
export function planTests(compiled: CompiledRecipe, options: PlanOptions = {}): RecipePlan {
  const environments: Record<string, EnvironmentRequest> = {};
  const units: Unit[] = [];
  const tests = includedPackages(compiled).filter(hasTest);
  throwProblems(
    compiled.file,
    tests.flatMap(({ test }) => test.refusals),
  );
  for (const { name, source, test } of tests) {
    const { request, user } = test.environment;
    const id = source.kind === "package" ? "test" : `subtest.${name}`;
    const steps = planSteps(test.steps, {
      ...commonSetting(compiled, options),
      idPrefix: id,
      package: name,
      // Tests have no SOURCE_DATE_EPOCH.
      env: processEnvironment(request.variables, undefined),
      user,
      directories: [],
    });
    if (steps.length === 0) continue;
    environments[`test:${name}`] = request;
    units.push({ id, steps, from: { environment: `test:${name}` }, purpose: "test" });
  }
  return { plan: { ...planHead(compiled), environments: Object.keys(environments), units, outputs: [] }, environments };
}

function includedPackages({ packages }: CompiledRecipe): readonly CompiledPackage[] {
  return packages.filter(({ included }) => included);
}

function hasTest(one: CompiledPackage): one is CompiledPackage & { readonly test: CompiledTest } {
  return one.test !== undefined;
}

function commonSetting(
  { recipe }: CompiledRecipe,
  options: PlanOptions,
): Pick<StepSetting, "secretEnv" | "capabilities" | "mounts" | "timeout" | "debug"> {
  const timeouts = [recipe.package.timeout, options.stepTimeout ?? 0].filter((seconds) => seconds > 0);
  const directory =
    options.cacheDirectory === undefined ? [] : [{ source: options.cacheDirectory, target: "/var/cache/melange" }];
  const mounts = [...directory, ...(options.caches ?? [])].map(
    ({ source, target }): CacheMount => ({ kind: "cache", source, target }),
  );
  return {
    secretEnv: options.secretEnv ?? [],
    capabilities: recipe.capabilities,
    mounts,
    timeout: timeouts.length > 0 ? Math.min(...timeouts) : undefined,
    debug: options.debug ?? false,
  };
}

function planHead({ file, text, arch, recipe }: CompiledRecipe): Pick<Plan, "source" | "subject" | "workspace"> {
  const { name, version, epoch } = recipe.package;
  return {
    source: { kind: "melange", file, text, copyName: "recipe.yaml" },
    subject: { name, version: `${version}-r${epoch}`, arch },
    workspace,
  };
}
