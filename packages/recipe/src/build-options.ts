import type { RecipeSource } from "./schema.ts";
import type { Problems, Text } from "./source.ts";

/**
 * Applies the recipe's options of these names. What variables had pasted when the recipe was read stays: an option's variables
 * hold only where a reference is written with blanks, or where the recipe does not define the variable itself.
 */
export function applyBuildOptions(recipe: RecipeSource, names: readonly string[], problems: Problems): RecipeSource {
  let result = recipe;
  for (const name of names) {
    const option = recipe.options.get(name);
    if (!option) {
      problems.warn(`the recipe has no build option "${name}"`, recipe.at, {
        hint: recipe.options.size > 0 ? `It has ${[...recipe.options.keys()].join(", ")}.` : "It has none.",
      });
      continue;
    }
    const { add, remove } = option.environment.contents.packages;
    const { environment } = result;
    const packages = remove.reduce(without, [...environment.contents.packages, ...add]);
    result = {
      ...result,
      vars: new Map([...result.vars, ...option.vars]),
      environment: { ...environment, contents: { ...environment.contents, packages } },
    };
  }
  return result;
}

/** Puts the last of the list where the removed one was, as melange does: the order of the list is part of what is built. */
function without(packages: readonly Text[], { value }: Text): readonly Text[] {
  const left = [...packages];
  for (let at = left.findIndex((each) => each.value === value); at !== -1; ) {
    const last = left.pop();
    if (last && at < left.length) left[at] = last;
    at = left.findIndex((each) => each.value === value);
  }
  return left;
}
