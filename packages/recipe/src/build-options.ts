import type { RecipeSource } from "./schema.ts";
import type { Problems } from "./source.ts";

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
    const removed = new Set(remove.map((each) => each.value));
    const { environment } = result;
    const kept = environment.contents.packages.filter((each) => !removed.has(each.value));
    result = {
      ...result,
      vars: new Map([...result.vars, ...option.vars]),
      environment: { ...environment, contents: { ...environment.contents, packages: [...kept, ...add] } },
    };
  }
  return result;
}
