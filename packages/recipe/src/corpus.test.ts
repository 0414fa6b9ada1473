import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { provided } from "@melange2-tooling/services";
import { describe, expect, test } from "vitest";
import { type CompiledStep, everyStep, workspace } from "./compile-steps.ts";
import { environmentVariables } from "./environment-request.ts";
import { pipelineDirectories } from "./pipeline-directories.ts";
import { plain } from "./plain.ts";
import { prepareRecipe } from "./prepare-recipe.ts";
import { buildPlan, testPlan } from "./recipe-plans.ts";
import type { DependenciesSource } from "./schema.ts";
import { collectProblems } from "./source.ts";

// What upstream's own `melange compile` makes of real recipes. Fragments of the built-in pipelines are ours, so they are compared
// by count; all others by hash.

interface Expected {
  readonly name: string;
  readonly version: string;
  readonly epoch: number;
  readonly skipped?: boolean;
  readonly envPackages: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly deps: Readonly<Record<string, unknown>>;
  readonly description?: string;
  readonly runs?: readonly string[];
  readonly dirs?: Readonly<Record<string, string>>;
  readonly testRuns?: readonly string[];
  readonly testDirs?: Readonly<Record<string, string>>;
  readonly testPackages?: readonly string[];
  readonly subpackages?: readonly Expected[];
}

const sample = process.env.MELANGE2_TEST_FULL !== "1";
const builtIn = new Set(
  readdirSync(new URL("../pipelines", import.meta.url), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => name.slice(0, -".yaml".length)),
);

describe.each(["x86_64", "aarch64"])("real recipes for %s", (arch) => {
  test(`compile as melange compiles them (${sample ? "every twentieth; all in full runs" : "all"})`, {
    timeout: 600_000,
  }, async (context) => {
    const folder = provided(context, "MELANGE2_TEST_CORPUS_RECIPES");
    const all: Record<string, Expected> = JSON.parse(readFileSync(join(folder, `expected-${arch}.json`), "utf8"));
    const chosen = Object.entries(all).filter((_, index) => !sample || index % 20 === 3);
    expect(chosen.length).toBeGreaterThan(100);
    for (const [file, expected] of chosen)
      expect(await compiled(folder, file, arch, expected), file).toEqual(wanted(expected));
  });
});

function wanted(expected: Expected): unknown {
  if (expected.skipped) return "skipped";
  return {
    package: [expected.name, expected.version, expected.epoch],
    packages: expected.envPackages,
    environment: expected.environment,
    main: wantedPart(expected),
    subpackages: (expected.subpackages ?? []).map((each) => [each.name, each.description ?? "", wantedPart(each)]),
  };
}

function wantedPart(expected: Expected): unknown {
  return {
    dependencies: expected.deps,
    runs: wantedRuns(expected.runs, expected.dirs),
    testRuns: wantedRuns(expected.testRuns, expected.testDirs),
    testPackages: expected.testRuns ? expected.testPackages : undefined,
  };
}

function wantedRuns(hashes: readonly string[] = [], directories: Readonly<Record<string, string>> = {}): unknown {
  return hashes.map((hash, index) => [hash, posix.resolve(workspace, directories[index] ?? "")]);
}

async function compiled(folder: string, file: string, arch: string, expected: Expected): Promise<unknown> {
  const problems = collectProblems();
  const options = {
    file,
    text: readFileSync(join(folder, "recipes", file), "utf8"),
    arch,
    pipelines: pipelineDirectories([join(folder, "pipelines")]),
  };
  const prepared = await prepareRecipe(options, problems);
  const { recipe, pipelines } = prepared;
  if ("skipped" in pipelines) return "skipped";
  const setting = { ...prepared, pipelines, options, problems };
  const build = buildPlan(setting);
  const tests = testPlan(setting);
  expect(problems.errors, file).toEqual([]);

  const part = (
    name: string,
    source: DependenciesSource,
    steps: readonly CompiledStep[],
    testSteps: readonly CompiledStep[],
    like: Expected | undefined,
  ) => ({
    dependencies: Object.fromEntries(Object.entries(plain(source)).filter(([, value]) => value.length > 0)),
    runs: runs(steps, like?.runs),
    testRuns: runs(testSteps, like?.testRuns),
    // A test of which nothing runs here has no environment in our plan.
    testPackages: testSteps.some(({ active }) => active)
      ? tests.environments[`test:${name}`]?.packages
      : like?.testRuns && like.testPackages,
  });
  const { name, version, epoch, dependencies } = recipe.package;
  return {
    package: [name.value, version.value, epoch],
    packages: build.environments.build?.packages,
    environment: environmentVariables({}, recipe.environment),
    main: part(name.value, dependencies, pipelines.main, pipelines.mainTest, expected),
    subpackages: pipelines.subpackages.map(({ source, steps, test: testSteps }, index) => [
      source.name.value,
      source.description.value,
      part(source.name.value, source.dependencies, steps, testSteps, expected.subpackages?.[index]),
    ]),
  };
}

/** Hash and directory of each fragment; for one of a built-in pipeline, the hash that is expected in its position. */
function runs(steps: readonly CompiledStep[], expected: readonly string[] = []): unknown {
  return everyStep(steps)
    .filter(({ fragment }) => fragment !== "")
    .map(({ fragment, workdir, uses }, index) => {
      const hash = createHash("sha256").update(fragment).digest("hex").slice(0, 16);
      return [builtIn.has(uses) ? expected[index] : hash, workdir];
    });
}
