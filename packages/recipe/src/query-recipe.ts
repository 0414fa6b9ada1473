import { MelangeError } from "@melange2/core";
import type { Recipe } from "./parse-recipe.ts";
import { closest } from "./spelling.ts";

/** A key after a dot or in brackets and quotes, or an index in brackets. */
const part = /(?:^|\.)([^.[\]{}\s]+)|\[(\d+)\]|\["([^"]*)"\]/y;

/**
 * What a recipe says in a field: `package.version`, `subpackages[0].name`, `vars["a.b"]`. A key that follows a list is taken of
 * each of its items: `subpackages.name`. Undefined where the recipe leaves an optional section out. Throws code `usage` for what
 * is no field.
 */
export function queryRecipe(recipe: Recipe, field: string): unknown {
  return steps(field).reduce((value, step) => follow(value, step, field), recipe as unknown);
}

function steps(field: string): readonly (string | number)[] {
  const found: (string | number)[] = [];
  part.lastIndex = 0;
  let end = 0;
  for (let match = part.exec(field); match; match = part.exec(field)) {
    const [, key, index, quoted] = match;
    found.push(index === undefined ? (key ?? quoted ?? "") : Number(index));
    end = part.lastIndex;
  }
  if (end === field.length && found.length > 0) return found;
  const hint = field.includes("{{")
    ? "Templates of Go are melange's; name fields here: package.name package.version."
    : 'Write keys with dots between them, and indices in brackets: package.name, subpackages[0].name, vars["a.b"].';
  throw new MelangeError("usage", `"${field}" names no field of a recipe`, { hint });
}

function follow(value: unknown, step: string | number, field: string): unknown {
  if (value === undefined) return undefined;
  if (Array.isArray(value)) {
    if (typeof step === "string") return value.map((item) => follow(item, step, field));
    if (step < value.length) return value[step];
    throw new MelangeError(
      "usage",
      `${field}: the list has ${value.length} items, so there is none with index ${step}`,
      {
        hint: "The first item has the index 0.",
      },
    );
  }
  const keys = isMap(value) ? Object.keys(value) : [];
  if (isMap(value) && Object.hasOwn(value, step)) return value[step];
  const meant = typeof step === "string" ? closest(step, keys) : undefined;
  throw new MelangeError("usage", `${field}: there is no "${step}" here`, { hint: hintFor(keys, meant) });
}

function hintFor(keys: readonly string[], meant: string | undefined): string {
  if (meant !== undefined) return `Did you mean "${meant}"?`;
  return keys.length > 0
    ? `There are: ${keys.join(", ")}.`
    : "Leave the rest of the field out: nothing lies below this.";
}

function isMap(value: unknown): value is Readonly<Record<string | number, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
