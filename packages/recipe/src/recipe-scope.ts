import { isMelangeError } from "@melange2/core";
import type { ReplaceAll } from "./go-regexp.ts";
import { type Budget, limits, refuseBeyond } from "./limits.ts";
import type { RecipeSource, TransformSource } from "./schema.ts";
import type { Place, Problems, Text } from "./source.ts";
import { closest } from "./spelling.ts";
import {
  growing,
  pasteVariables,
  refuseDeepReferences,
  substituteText,
  substituteVariables,
  type Variables,
} from "./variables.ts";

/** What a recipe says about itself: `package.*`, `vars.*`, and what its transforms make of them. */
export interface RecipeScope extends Variables {
  /** Reports the vars that were asked for so far and refer to themselves. */
  reportCircles(problems: Problems): void;
  /** Reports all vars that refer to themselves, or to what is not there. */
  checkVars(problems: Problems): void;
}

/** What the resolving of names takes. */
export interface ScopeSetting {
  readonly replaceAll: ReplaceAll;
  readonly problems: Problems;
  readonly budget: Budget;
}

type ScopeSource = Pick<RecipeSource, "package" | "vars" | "var-transforms">;

/**
 * Resolves the names of a recipe, each when it is first asked for, so that their order in the file does not matter. Vars may refer
 * to vars and to what transforms make. A transform sees the vars, and what the transforms before it made; the last transform
 * that makes a name wins over the var of that name. A var that refers to itself is empty, and reported. What no recipe can know by itself, such
 * as `build.arch`, stays in the values as a reference.
 */
export function recipeScope(source: ScopeSource, setting: ScopeSetting): RecipeScope {
  const { package: main, vars, "var-transforms": transforms } = source;
  const packageTexts = new Map([
    ["package.name", main.name],
    ["package.version", main.version],
    ["package.description", main.description],
  ]);
  const values = new Map<string, string>();
  const open: { readonly key: string; readonly name: string }[] = [];
  const circles: { readonly message: string; readonly place: Place }[] = [];
  const last = transforms.length;

  /** The value of `name`, which `work` makes when it is first asked for. `package.*` stays a reference in its own value. */
  function once(key: string, name: string, at: Text, work: () => string): string | undefined {
    const known = values.get(key);
    if (known !== undefined) return known;
    const circle = open.findIndex((each) => each.key === key);
    if (circle !== -1) {
      if (!name.startsWith("vars.")) return undefined;
      const names = [...open.slice(circle).map((each) => each.name), name].map((each) => each.replace(/^vars\./, ""));
      circles.push({ message: `the variable "${name}" refers to itself: ${names.join(" → ")}`, place: at.place });
      return "";
    }
    refuseDeepReferences(open.length, at.place);
    open.push({ key, name });
    let value: string;
    try {
      value = growing(at, work);
    } finally {
      open.pop();
    }
    setting.budget.characters(value.length, at.place);
    values.set(key, value);
    return value;
  }

  function packageValue(name: string): string | undefined {
    const epoch = String(main.epoch);
    if (name === "package.epoch") return epoch;
    if (name === "package.full-version") return `${packageValue("package.version") ?? main.version.value}-r${epoch}`;
    const text = packageTexts.get(name);
    return text && once(name, name, text, () => pasteVariables(text.value, scope));
  }

  function varValue(name: string): string | undefined {
    const text = vars.get(name);
    if (!text) return undefined;
    const key = `vars.${name}`;
    return once(key, key, text, () => substituteVariables(text.value, inVars, () => {}));
  }

  /** What a reference in a var means. */
  function inVars(name: string): string | undefined {
    if (!name.startsWith("vars.")) return undefined;
    const key = name.slice("vars.".length);
    return vars.has(key) ? varValue(key) : madeBefore(key, last);
  }

  /** What the last of the first `count` transforms that makes the name makes. */
  function madeBefore(name: string, count: number): string | undefined {
    for (let index = count - 1; index >= 0; index -= 1) {
      const transform = transforms[index];
      if (transform?.to.value === name) return transformed(transform, index);
    }
    return undefined;
  }

  function transformed(transform: TransformSource, index: number): string | undefined {
    const { from, to } = transform;
    const known = { get: (name: string) => lookUp(name, index), keys: () => scope.keys() };
    return once(`transform ${index}`, `vars.${to.value}`, from, () => {
      const input = substituteText(from, known, setting.problems, { hint: suggestVariable(known) });
      return substituteVariables(transformText(input, transform, setting), scope.get, () => {});
    });
  }

  /** What a name means once the first `count` transforms were made. */
  function lookUp(name: string, count: number): string | undefined {
    if (!name.startsWith("vars.")) return packageValue(name);
    const key = name.slice("vars.".length);
    return madeBefore(key, count) ?? varValue(key);
  }

  const scope: RecipeScope = {
    get: (name) => lookUp(name, last),
    *keys() {
      yield* [...packageTexts.keys(), "package.epoch", "package.full-version"];
      for (const name of vars.keys()) yield `vars.${name}`;
      for (const { to } of transforms) yield `vars.${to.value}`;
    },
    reportCircles(problems) {
      for (const { message, place } of circles) problems.error(message, place);
    },
    checkVars(problems) {
      const suggest = suggestVariable({ keys: () => [...scope.keys()].filter((name) => name.startsWith("vars.")) });
      const hint = (name: string) =>
        suggest(name) ?? "In vars only other vars are known; use var-transforms for package.*.";
      for (const name of vars.keys()) varValue(name);
      for (const text of vars.values()) substituteText(text, { get: inVars }, problems, { hint });
      scope.reportCircles(problems);
    },
  };
  transforms.forEach(transformed);
  return scope;
}

function transformText(
  input: string,
  transform: TransformSource,
  { replaceAll, problems, budget }: ScopeSetting,
): string {
  const { match, replace } = transform;
  if (match.value.length > limits.expression)
    refuseBeyond(
      `the regular expression has more than ${limits.expression} characters`,
      match.place,
      "Use several transforms.",
    );
  try {
    const result = replaceAll(input, match.value, replace.value, (steps) => budget.matching(steps, match.place));
    if (result.length > limits.substituted)
      refuseBeyond("the transformed text grows beyond its limit here", replace.place, "Replace less.");
    return result;
  } catch (cause) {
    if (isMelangeError(cause)) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    problems.error(`"${match.value}" is no regular expression of the RE2 dialect: ${why}`, match.place);
    return "";
  }
}

/** Advice for a variable that is not defined. */
export function suggestVariable(known: Pick<Variables, "keys">): (name: string) => string | undefined {
  return (name) => {
    const meant = closest(name, known.keys());
    return meant && `Did you mean "\${{${meant}}}"?`;
  };
}
