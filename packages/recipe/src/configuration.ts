import type { CompiledStep } from "./compile-steps.ts";
import type { CompiledPackage, CompiledRecipe, CompiledTest, PackageData } from "./compiled-recipe.ts";
import { writtenEnvironment } from "./configuration-environment.ts";
import type { Recipe } from "./parse-recipe.ts";
import { normalizeScript } from "./shell-normal.ts";
import type { ShellParser } from "./shell-parser.ts";
import { sharedShellParser } from "./shell-syntax.ts";
import { type Written, written, writtenDuration, writtenMap } from "./written.ts";

/**
 * A compiled recipe as a recipe: with the keys of the YAML, in melange's order, what is empty left out. The packages that melange
 * makes hold it as `.melange.yaml`, with the versions of the environment's packages in addition. The pipelines that are used
 * are written out, scripts have neither comments nor a layout of their own, and the result compiles to the same steps.
 */
export async function compiledConfiguration(compiled: CompiledRecipe): Promise<{ readonly [key: string]: Written }> {
  const parse = await sharedShellParser();
  const { recipe, environment } = compiled;
  const [main, ...subpackages] = compiled.packages;
  if (!main) throw new TypeError("a compiled recipe has a main package");
  return written(
    {
      package: writtenPackage(recipe.package),
      environment: writtenEnvironment(environment, {
        packages: environment.request.packages,
        variables: environment.request.variables,
        homes: true,
        buildUser: true,
      }),
      capabilities: written(recipe.capabilities),
      pipeline: main.steps.map((step) => writtenStep(step, { parse, inherits: true, outermost: true })),
      subpackages: subpackages.filter(({ included }) => included).map((each) => writtenSubpackage(each, parse)),
      update: writtenUpdate(recipe.update),
      vars: writtenMap(recipe.vars),
      "var-transforms": recipe["var-transforms"].map((each) => ({ ...each })),
      options: writtenOptions(recipe.options),
      test: main.test && writtenTest(main.test, true, parse),
    },
    ["package"],
  );
}

function writtenPackage(main: Recipe["package"]): Written {
  return written(
    {
      name: main.name,
      version: main.version,
      epoch: main.epoch,
      description: main.description,
      annotations: writtenMap(main.annotations),
      url: main.url,
      commit: main.commit,
      "target-architecture": main["target-architecture"],
      copyright: main.copyright.map((each) => written(each, ["license"])),
      ...commonParts(main),
      cpe: written(main.cpe),
      setcap: main.setcap.map(({ path, add, reason }) => written({ path, add: writtenMap(add), reason })),
      timeout: writtenDuration(main.timeout),
      resources: written(main.resources),
      "test-resources": written(main["test-resources"]),
    },
    ["name", "version", "epoch", "resources"],
  );
}

function commonParts(source: Pick<PackageData, "dependencies" | "options" | "scriptlets" | "checks">) {
  const { trigger, ...scripts } = source.scriptlets;
  const hasTrigger = trigger.script !== "" || trigger.paths.length > 0;
  return {
    dependencies: written(source.dependencies),
    options: written(source.options),
    scriptlets: written({ ...(hasTrigger ? { trigger } : {}), ...scripts }),
    checks: written(source.checks),
  };
}

function writtenSubpackage({ name, source, steps, test }: CompiledPackage, parse: ShellParser): Written {
  return written(
    {
      if: source.kind === "subpackage" ? source.if : "",
      name,
      pipeline: steps.map((step) => writtenStep(step, { parse, inherits: true, outermost: true })),
      ...commonParts(source),
      description: source.description,
      annotations: writtenMap(source.annotations),
      url: source.url,
      commit: source.commit,
      test: test && writtenTest(test, test.steps.length > 0, parse),
    },
    ["name"],
  );
}

function writtenTest({ environment, steps }: CompiledTest, buildUser: boolean, parse: ShellParser): Written {
  const { source, request } = environment;
  const setting = { packages: request.packages, variables: source.environment, homes: false, buildUser };
  const pipeline = steps.map((step) => writtenStep(step, { parse, inherits: false, outermost: true }));
  return written({ environment: writtenEnvironment(environment, setting), pipeline }, ["pipeline"]);
}

interface StepSetting {
  readonly parse: ShellParser;
  /** Whether the variables of a step's parents are written with its own, as melange does for steps that the recipe itself writes. */
  readonly inherits: boolean;
  readonly outermost: boolean;
}

function writtenStep(step: CompiledStep, setting: StepSetting): Written {
  const { parse, outermost } = setting;
  const inherits = setting.inherits && step.within === undefined;
  // The needs of an outermost step that runs are in the environment.
  const met = outermost && step.active;
  return written(
    {
      if: step.condition,
      name: step.name,
      uses: step.uses,
      with: writtenMap(step.with),
      runs: normalizeScript(parse, step.fragment),
      pipeline: step.children.map((child) => writtenStep(child, { parse, inherits, outermost: false })),
      needs: met ? {} : written({ packages: step.needs }),
      label: step.label,
      assertions: step.requiredSteps === undefined ? undefined : written({ "required-steps": step.requiredSteps }),
      "working-directory": step.writtenWorkdir,
      environment: writtenMap(inherits ? step.environment : step.ownEnvironment),
    },
    ["assertions"],
  );
}

function writtenUpdate(update: Recipe["update"]): Written {
  const { enabled, manual, github, git, oci } = update;
  const identified = ["identifier"];
  const all = written({
    enabled,
    manual,
    "require-sequential": update["require-sequential"],
    shared: update.shared,
    "version-separator": update["version-separator"],
    "ignore-regex-patterns": update["ignore-regex-patterns"],
    "release-monitor": update["release-monitor"] && written(update["release-monitor"], identified),
    github: github && written(github, identified),
    git: git && written(git),
    oci: oci && written(oci, identified),
    version_data: update.version_data && {
      version_format: update.version_data.version_format,
      sources: update.version_data.sources.map((each) => written(each, ["name", "stream"])),
    },
    "version-transform": update["version-transform"].map((each) => ({ ...each })),
    "exclude-reason": update["exclude-reason"],
    schedule: update.schedule && written(update.schedule),
    "enable-prerelease-tags": update["enable-prerelease-tags"],
  });
  const always = { enabled, manual, "require-sequential": update["require-sequential"] };
  return Object.keys(all).length === 0 ? all : { ...always, ...all };
}

function writtenOptions(options: Recipe["options"]): Written {
  return Object.fromEntries(
    Object.entries(options).map(([name, { vars, environment }]) => {
      const packages = written(environment.contents.packages);
      const contents = written({ packages });
      return [name, written({ vars: writtenMap(vars), environment: written({ contents }) })];
    }),
  );
}
