import { checkedCondition } from "./compile-steps.ts";
import { quoteForCondition } from "./condition.ts";
import { suggestVariable } from "./recipe-scope.ts";
import type { SubpackageSource } from "./schema.ts";
import type { Problems } from "./source.ts";
import { substituteText, type Variables } from "./variables.ts";

/**
 * Whether a subpackage is built. melange decides this where variables such as `build.arch` are not known yet and reads them as
 * empty (its issue 1377); the same recipe must give the same packages here, so this does too, and says so.
 */
export function isIncluded({ if: condition }: SubpackageSource, variables: Variables, problems: Problems): boolean {
  if (condition.value === "") return true;
  let complete = true;
  const emptied = {
    get: (name: string): string | undefined => {
      if (variables.get(name) === undefined) return undefined;
      problems.warn(`\${{${name}}} is empty in the condition of a subpackage, as in melange`, condition.place, {
        hint: "Put the condition on the steps of the subpackage instead.",
      });
      return "";
    },
  };
  const expression = substituteText(condition, emptied, problems, {
    quote: quoteForCondition,
    hint: suggestVariable(variables),
    onBad: () => {
      complete = false;
    },
  });
  return !complete || checkedCondition(expression, condition, problems);
}
