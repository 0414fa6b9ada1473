import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { provided } from "@melange2-tooling/services";
import { describe, expect, test } from "vitest";
import { compileRecipe } from "./compile-recipe.ts";
import { type CompiledStep, everyStep, workspace } from "./compile-steps.ts";
import type { CompiledPackage } from "./compiled-recipe.ts";
import { parseRecipe } from "./parse-recipe.ts";
import { pipelineDirectories } from "./pipeline-directories.ts";

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
  const text = readFileSync(join(folder, "recipes", file), "utf8");
  const result = await compileRecipe(await parseRecipe({ file, text }), {
    arch,
    pipelines: pipelineDirectories([join(folder, "pipelines")]),
  });
  if (result.kind === "skipped") return "skipped";
  expect(result.refusals, file).toEqual([]);
  const part = ({ source, steps, test: tested }: CompiledPackage, like: Expected | undefined) => ({
    dependencies: Object.fromEntries(Object.entries(source.dependencies).filter(([, value]) => value.length > 0)),
    runs: runs(steps, like?.runs),
    testRuns: runs(tested?.steps ?? [], like?.testRuns),
    testPackages: like?.testRuns && tested?.environment.request.packages,
  });
  const [main, ...subpackages] = result.packages;
  if (main?.source.kind !== "package") throw new Error("the first package is not the main one");
  return {
    package: [main.name, main.source.version, main.source.epoch],
    packages: result.environment.request.packages,
    environment: result.environment.request.variables,
    main: part(main, expected),
    subpackages: subpackages.map((each, index) => [
      each.name,
      each.source.description,
      part(each, expected.subpackages?.[index]),
    ]),
  };
}

/** Hash and directory of each fragment; for one of a built-in pipeline, the hash that is expected in its position. */
function runs(steps: readonly CompiledStep[], expected: readonly string[] = []): unknown {
  return everyStep(steps)
    .filter(({ fragment }) => fragment !== "")
    .map(({ fragment, workdir, uses, within }, index) => {
      const hash = createHash("sha256").update(fragment).digest("hex").slice(0, 16);
      return [builtIn.has(uses || (within ?? "")) ? expected[index] : hash, workdir];
    });
}
