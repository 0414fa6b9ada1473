import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { oracles } from "../test/corpus-folder.ts";
import { plannedRecipe } from "../test/planned.ts";
import { pipelineDirectories } from "./pipeline-directories.ts";

const recorded = oracles && join(oracles, "built/envvars");

/** What the steps of the recorded build wrote: `env | sort`, without what the shell itself sets. */
function seen(file: string): Readonly<Record<string, string>> {
  const apk = join(recorded ?? "", `packages/x86_64/${file.startsWith("envy-sub") ? "envy-sub" : "envy"}-1.0-r0.apk`);
  const { stdout } = spawnSync("tar", ["-xzOf", apk, `usr/share/${file}`], { encoding: "utf8" });
  const variables = stdout.split("\n").filter((line) => /^\w+=/.test(line) && !/^(PWD|OLDPWD|SHLVL|uid)=/.test(line));
  return Object.fromEntries(
    variables.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

test("each step gets the environment that melange gave it", async ({ skip }) => {
  skip(!recorded, "there is no ../shared/corpus");
  const result = await plannedRecipe({
    file: "recipe.yaml",
    text: readFileSync(join(recorded ?? "", "recipe.yaml"), "utf8"),
    arch: "x86_64",
    pipelines: pipelineDirectories([]),
    sourceDateEpoch: 1700000000,
  });
  if (result.kind !== "compiled") throw new Error(result.reason);
  const steps = new Map(result.plan.units.flatMap((unit) => unit.steps).map((step) => [step.path, step]));
  const wanted = {
    "pipeline[0]": "envy/1-plain",
    "pipeline[1]": "envy/2-step",
    "pipeline[1].pipeline[0]": "envy/3-child",
    "pipeline[1].pipeline[1]": "envy/4-child",
    "pipeline[2]": "envy/6-after",
    "subpackages[0].pipeline[0]": "envy-sub/env",
  };
  for (const [path, file] of Object.entries(wanted)) {
    expect(Object.keys(seen(file)).length, file).toBeGreaterThan(10);
    expect(steps.get(path)?.env, path).toEqual(seen(file));
  }
  expect([...steps.values()].map(({ workdir }) => workdir)).toEqual([
    "/home/build",
    "/home/build/sub/dir",
    "/home/build/sub/dir",
    "/tmp/abs dir",
    "/home/build/relative",
    "/home/build",
    "/home/build",
  ]);
});
