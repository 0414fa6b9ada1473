import { isMelangeError } from "@melange2/core";
import { compareBytes } from "./byte-order.ts";
import type { ReplaceAll } from "./go-regexp.ts";
import { limits, refuseBeyond } from "./limits.ts";
import { mapTexts } from "./plain.ts";
import type {
  DependenciesSource,
  EnvironmentSource,
  RecipeSource,
  SubpackageSource,
  TestSource,
  TransformSource,
} from "./schema.ts";
import type { Problems, Text } from "./source.ts";
import { closest } from "./spelling.ts";
import { growing, pasteVariables, substituteText, type Variables } from "./variables.ts";

/**
 * The pass at reading time. Variables that are known by now are pasted into every template, ranged subpackages are repeated,
 * and the lists of dependencies and packages, where nothing may stay open, are substituted strictly.
 */
export function expandRecipe(source: RecipeSource, replaceAll: ReplaceAll, problems: Problems): RecipeSource {
  const variables = readingVariables(source, replaceAll, problems);
  const paste = <T>(value: T, known: Variables): T => pasteInto(value, known);
  const strict = strictLists(variables, problems);
  const subpackages = expandRanges(source, variables, problems).map((subpackage) => ({
    ...subpackage,
    dependencies: strict.dependencies(subpackage.dependencies),
    test: subpackage.test && strict.test(subpackage.test),
  }));
  const main = paste(source.package, variables);
  const test = source.test && paste(source.test, variables);
  return {
    ...source,
    package: { ...main, dependencies: strict.dependencies(main.dependencies) },
    environment: strict.environment(paste(source.environment, variables)),
    pipeline: paste(source.pipeline, variables),
    subpackages,
    test: test && strict.test(test),
  };
}

/** package.*, vars.* and what transforms make of them. */
function readingVariables(source: RecipeSource, replaceAll: ReplaceAll, problems: Problems): Variables {
  const variables = new Map(packageVariables(source));
  variables.set("package.description", source.package.description.value);
  for (const [name, value] of source.vars) variables.set(`vars.${name}`, value.value);
  transformVariables(source["var-transforms"], variables, replaceAll, problems);
  return variables;
}

export function packageVariables(source: RecipeSource): Variables {
  const { name, version, epoch } = source.package;
  return new Map([
    ["package.name", name.value],
    ["package.version", version.value],
    ["package.epoch", String(epoch)],
    ["package.full-version", `${version.value}-r${epoch}`],
  ]);
}

/** Characters; an expression is compiled to something many times as large. */
const longestExpression = 1000;

const tooLong = (replace: Text): never =>
  refuseBeyond("the transformed text grows beyond its limit here", replace.place, "Replace less.");

/** Runs the transforms in order; each sees what the ones before it set. */
export function transformVariables(
  transforms: readonly TransformSource[],
  variables: Map<string, string>,
  replaceAll: ReplaceAll,
  problems: Problems,
): void {
  for (const { from, match, replace, to } of transforms) {
    const input = substituteText(from, (name) => variables.get(name), problems, {
      hint: suggestVariable([...variables.keys()]),
    });
    if (match.value.length > longestExpression)
      refuseBeyond(
        `the expression has more than ${longestExpression} characters`,
        match.place,
        "Use several transforms.",
      );
    try {
      const result = replaceAll(input, match.value, replace.value);
      variables.set(`vars.${to.value}`, result.length > limits.substituted ? tooLong(replace) : result);
    } catch (cause) {
      if (isMelangeError(cause)) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      problems.error(`"${match.value}" is no regular expression of the RE2 dialect: ${why}`, match.place);
      variables.set(`vars.${to.value}`, "");
    }
  }
}

export function suggestVariable(known: readonly string[]): (name: string) => string | undefined {
  return (name) => {
    const meant = closest(name, known);
    return meant && `Did you mean "\${{${meant}}}"?`;
  };
}

function pasteInto<T>(value: T, variables: Variables): T {
  return mapTexts(value, (text) => {
    if (!text.template) return text;
    const pasted = growing(text, () => pasteVariables(text.value, variables));
    return pasted === text.value ? text : { ...text, value: pasted };
  });
}

function expandRanges(source: RecipeSource, variables: Variables, problems: Problems): readonly SubpackageSource[] {
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
    all.push(...expandRange(subpackage, source, variables, problems));
  }
  return all;
}

const split = "Make several recipes of this one.";

function expandRange(
  subpackage: SubpackageSource,
  source: RecipeSource,
  variables: Variables,
  problems: Problems,
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
      const withRange = new Map([...variables, ["range.key", key], ["range.value", value.value]]);
      return pasteInto({ ...subpackage, range: { ...range, value: "" } }, withRange);
    });
}

/** Dependencies and packages are final after reading: blanks inside braces are allowed, unknown variables are not. */
function strictLists(variables: Variables, problems: Problems) {
  const hint = suggestVariable([...variables.keys()]);
  const fill = (text: Text): Text => ({
    ...text,
    value: substituteText(text, (name) => variables.get(name), problems, { hint }),
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
