import { expect, test } from "vitest";
import { parseRecipe } from "./parse-recipe.ts";
import { queryRecipe } from "./query-recipe.ts";

const { recipe } = await parseRecipe({
  file: "r.yaml",
  text: `package: {name: demo, version: 1.10, epoch: 2, dependencies: {runtime: ["a=\${{package.version}}"]}}
vars: {a.b: x, __proto__: y}
pipeline: [{runs: one}, {uses: two, pipeline: [{runs: three}]}]
data: [{name: d, items: {k: v, l: w}}]
subpackages: [{range: d, name: "demo-\${{range.key}}", test: {pipeline: [{runs: t}]}}, {name: demo-x}]
`,
});

test.each([
  ["package.name", "demo"],
  ["package.version", "1.10"],
  ["package.epoch", 2],
  ["package.url", ""],
  ["package.dependencies.runtime", ["a=1.10"]],
  ["package.dependencies.runtime[0]", "a=1.10"],
  ["subpackages.name", ["demo-k", "demo-l", "demo-x"]],
  ["subpackages[1].name", "demo-l"],
  ["subpackages.test.pipeline.runs", [["t"], ["t"], undefined]],
  ["pipeline[1].pipeline[0].runs", "three"],
  ['vars["a.b"]', "x"],
  ["vars.__proto__", "y"],
  ["test", undefined],
  ["test.pipeline", undefined],
])("%s", (field, value) => expect(queryRecipe(recipe, field)).toEqual(value));

test.each([
  ["", /names no field/, /dots/],
  ["package.", /names no field/, /dots/],
  ["package..name", /names no field/, /dots/],
  [".Package.Name", /there is no "Package"/, /"package"/],
  ["{{ .Package.Name }}", /names no field/, /Templates/],
  ["package.nam", /there is no "nam"/, /Did you mean "name"/],
  ["package.name.more", /there is no "more"/, /nothing lies below/],
  ["package[0]", /there is no "0"/, /There are: name/],
  ["pipeline[2]", /the list has 2 items/, /index 0/],
  ["vars.constructor", /there is no "constructor"/, /There are: a\.b/],
  ["pipeline[x]", /names no field/, /brackets/],
])("%j is refused", (field, message, hint) => {
  expect(() => queryRecipe(recipe, field)).toThrow(
    expect.objectContaining({
      code: "usage",
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    }),
  );
});
