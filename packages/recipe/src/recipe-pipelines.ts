import { type CompiledStep, compileSteps } from "./compile-steps.ts";
import { subpackageVariables } from "./compile-variables.ts";
import type { Budget } from "./limits.ts";
import { type PipelineSource, pipelineDefinitions } from "./pipeline-definitions.ts";
import type { RecipeSource, SubpackageSource } from "./schema.ts";
import type { Problems } from "./source.ts";
import { isIncluded } from "./subpackage-condition.ts";
import type { Variables } from "./variables.ts";

/** All the pipelines of a recipe, compiled. */
export interface RecipePipelines {
  readonly main: readonly CompiledStep[];
  readonly mainTest: readonly CompiledStep[];
  readonly subpackages: readonly {
    readonly source: SubpackageSource;
    readonly included: boolean;
    readonly steps: readonly CompiledStep[];
    readonly test: readonly CompiledStep[];
  }[];
}

export function compilePipelines(
  recipe: RecipeSource,
  variables: Variables,
  pipelines: PipelineSource,
  problems: Problems,
  budget: Budget,
): RecipePipelines {
  const definitions = pipelineDefinitions(pipelines, problems);
  const scope = { variables, definitions, problems, budget };
  return {
    main: compileSteps(recipe.pipeline, "", scope),
    mainTest: compileSteps(recipe.test?.pipeline ?? [], "test", scope),
    subpackages: recipe.subpackages.map((source, index) => {
      const inside = { ...scope, variables: subpackageVariables(variables, source.name.value) };
      return {
        source,
        included: isIncluded(source, variables, problems),
        steps: compileSteps(source.pipeline, `subpackages[${index}]`, inside),
        test: compileSteps(source.test?.pipeline ?? [], `subpackages[${index}].test`, inside),
      };
    }),
  };
}
