import { isMelangeError } from "@melange2/core";
import { readRecipe } from "@melange2/recipe";

const [path = "pkg.yaml"] = process.argv.slice(2);
try {
  const compiled = await readRecipe(path, { arch: "x86_64", pipelineDirectories: [] });
  if (compiled.kind === "skipped") console.log(compiled.reason);
  else
    for (const { steps } of compiled.plan.units)
      for (const step of steps) console.log(`${step.location.line}: [${step.package}] ${step.label}`);
} catch (error) {
  // All problems of the file, each with line and column.
  if (!isMelangeError(error)) throw error;
  for (const { message, location } of error.problems) console.log(`${location?.line}:${location?.column} ${message}`);
}
