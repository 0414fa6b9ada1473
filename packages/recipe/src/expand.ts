import { isMelangeError } from "@melange2/core";
import { compareBytes } from "./byte-order.ts";
import type { ReplaceAll } from "./go-regexp.ts";
import { type Budget, limits, refuseBeyond } from "./limits.ts";
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
import { growing, layered, pasteVariables, substituteText, type Variables } from "./variables.ts";

/**
 * The pass at reading time. Variables that are known by now are pasted into every template, ranged subpackages are repeated,
 * and the lists of dependencies and packages, where nothing may stay open, are substituted strictly.
 */
export function expandRecipe(
  source: RecipeSource,
  replaceAll: ReplaceAll,
  problems: Problems,
  budget: Budget,
): RecipeSource {
  const variables = readingVariables(source, replaceAll, problems, budget);
  const paste = <T>(value: T, known: Variables): T => pasteInto(value, known);
  const strict = strictLists(variables, problems);
  const subpackages = expandRanges(source, variables, problems, budget).map((subpackage) => ({
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
function readingVariables(source: RecipeSource, replaceAll: ReplaceAll, problems: Problems, budget: Budget): Variables {
  const variables = new Map(packageVariables(source));
  variables.set("package.description", source.package.description.value);
  for (const [name, value] of source.vars) variables.set(`vars.${name}`, value.value);
  transformVariables(source["var-transforms"], variables, replaceAll, problems, budget);
  return variables;
}

export function packageVariables(source: RecipeSource): ReadonlyMap<string, string> {
  const { name, version, epoch } = source.package;
  return new Map([
    ["package.name", name.value],
    ["package.version", version.value],
    ["package.epoch", String(epoch)],
    ["package.full-version", `${version.value}-r${epoch}`],
  ]);
}

const tooLong = (replace: Text): never =>
  refuseBeyond("the transformed text grows beyond its limit here", replace.place, "Replace less.");

/** Runs the transforms in order; each sees what the ones before it set. */
export function transformVariables(
  transforms: readonly TransformSource[],
  variables: Map<string, string>,
  replaceAll: ReplaceAll,
  problems: Problems,
  budget: Budget,
): void {
  for (const { from, match, replace, to } of transforms) {
    const input = substituteText(from, (name) => variables.get(name), problems, {
      hint: suggestVariable(variables),
    });
    if (match.value.length > limits.expression)
      refuseBeyond(
        `the regular expression has more than ${limits.expression} characters`,
        match.place,
        "Use several transforms.",
      );
    try {
      const result = replaceAll(input, match.value, replace.value, (steps) => budget.matching(steps, match.place));
      variables.set(`vars.${to.value}`, result.length > limits.substituted ? tooLong(replace) : result);
    } catch (cause) {
      if (isMelangeError(cause)) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      problems.error(`"${match.value}" is no regular expression of the RE2 dialect: ${why}`, match.place);
      variables.set(`vars.${to.value}`, "");
    }
  }
}

/** Advice for a variable that is not defined. */
export function suggestVariable(known: Pick<Variables, "keys">): (name: string) => string | undefined {
  return (name) => {
    const meant = closest(name, known.keys());
    return meant && `Did you mean "\${{${meant}}}"?`;
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
        ["range.value", value.value],
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
