import { compareBytes } from "./byte-order.ts";
import { type Budget, limits, refuseBeyond } from "./limits.ts";
import { mapTexts } from "./plain.ts";
import { suggestVariable } from "./recipe-scope.ts";
import type { DependenciesSource, EnvironmentSource, RecipeSource, SubpackageSource, TestSource } from "./schema.ts";
import type { Problems, Text } from "./source.ts";
import { growing, layered, pasteVariables, substituteText, type Variables } from "./variables.ts";

/**
 * The pass at reading time. Variables that are known by now are pasted into every template, ranged subpackages are repeated,
 * and the lists of dependencies and packages, where nothing may stay open, are substituted strictly.
 */
export function expandRecipe(
  source: RecipeSource,
  variables: Variables,
  problems: Problems,
  budget: Budget,
): RecipeSource {
  const paste = <T>(value: T): T => pasteInto(value, variables);
  const strict = strictLists(variables, problems);
  const subpackages = expandRanges(source, variables, problems, budget).map((subpackage) => ({
    ...subpackage,
    dependencies: strict.dependencies(subpackage.dependencies),
    test: subpackage.test && strict.test(subpackage.test),
  }));
  const main = paste(source.package);
  const test = paste(source.test);
  return {
    ...source,
    package: { ...main, dependencies: strict.dependencies(main.dependencies) },
    environment: strict.environment(paste(source.environment)),
    pipeline: paste(source.pipeline),
    subpackages,
    update: paste(source.update),
    test: test && strict.test(test),
  };
}

/** `visit` is called for each text with what it has become. */
function pasteInto<T>(value: T, variables: Variables, visit: (text: Text) => void = () => {}): T {
  return mapTexts(value, (text) => {
    const pasted = text.template ? growing(text, () => pasteVariables(text.value, variables)) : text.value;
    const result = pasted === text.value ? text : { ...text, value: pasted };
    visit(result);
    return result;
  });
}

function expandRanges(
  source: RecipeSource,
  variables: Variables,
  problems: Problems,
  budget: Budget,
): readonly SubpackageSource[] {
  const all: SubpackageSource[] = [];
  for (const subpackage of source.subpackages) {
    const { range, at } = subpackage;
    const repeats = source.data.find((each) => each.name.value === range.value)?.items.size ?? 1;
    if (all.length + repeats > limits.subpackages)
      refuseBeyond(
        `there are more than ${limits.subpackages} subpackages`,
        range.value === "" ? at : range.place,
        split,
      );
    all.push(...expandRange(subpackage, source, variables, problems, budget));
  }
  return all;
}

const split = "Make several recipes of this one.";

function expandRange(
  subpackage: SubpackageSource,
  source: RecipeSource,
  variables: Variables,
  problems: Problems,
  budget: Budget,
): readonly SubpackageSource[] {
  const { range } = subpackage;
  if (range.value === "") return [pasteInto(subpackage, variables)];
  const data = source.data.filter((each) => each.name.value === range.value).at(-1);
  if (!data) {
    const names = source.data.map((each) => each.name.value);
    problems.error(`there is no data named "${range.value}" to range over`, range.place, {
      hint: names.length > 0 ? `The recipe's data: ${names.join(", ")}.` : "Add a data section with that name.",
    });
    return [];
  }
  return [...data.items]
    .sort(([a], [b]) => compareBytes(a, b))
    .map(([key, value]) => {
      const own = new Map([
        ["range.key", key],
        ["range.value", growing(value, () => pasteVariables(value.value, variables))],
      ]);
      const spend = (text: Text) => {
        budget.values(1, range.place);
        budget.characters(text.value.length, range.place);
      };
      return pasteInto({ ...subpackage, range: { ...range, value: "" } }, layered(variables, own), spend);
    });
}

/** Dependencies and packages are final after reading: blanks inside braces are allowed, unknown variables are not. */
function strictLists(variables: Variables, problems: Problems) {
  const hint = suggestVariable(variables);
  const fill = (text: Text): Text => ({
    ...text,
    value: substituteText(text, variables, problems, { hint }),
  });
  const environment = (value: EnvironmentSource): EnvironmentSource => ({
    ...value,
    contents: { ...value.contents, packages: value.contents.packages.map(fill) },
  });
  return {
    environment,
    test: (value: TestSource): TestSource => ({ ...value, environment: environment(value.environment) }),
    dependencies: (value: DependenciesSource): DependenciesSource => mapTexts(value, fill),
  };
}
