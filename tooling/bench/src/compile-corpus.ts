// Compiles all recipes of the corpus in this process and prints what that took, as JSON. Called by recipe-cost.ts.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { resourceUsage } from "node:process";
import { compileRecipe, parseRecipe, pipelineDirectories, planBuild } from "@melange2/recipe";

const [folder = ""] = process.argv.slice(2);
const recipes = join(folder, "recipes");
const names = (await readdir(recipes)).filter((name) => name.endsWith(".yaml"));
let steps = 0;
for (const name of names) {
  const parsed = await parseRecipe({ file: name, text: await readFile(join(recipes, name), "utf8") });
  const pipelines = pipelineDirectories([join(folder, "pipelines")]);
  const compiled = await compileRecipe(parsed, { arch: "x86_64", pipelines });
  if (compiled.kind === "compiled") steps += planBuild(compiled).plan.units.length;
}
const { userCPUTime, systemCPUTime, maxRSS } = resourceUsage();
const cpu = (userCPUTime + systemCPUTime) / 1000;
process.stdout.write(JSON.stringify({ recipes: names.length, steps, cpu, memory: maxRSS * 1024 }));
