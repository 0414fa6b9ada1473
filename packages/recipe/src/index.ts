// For users: from a recipe to a plan.
export type { CompileOptions } from "./compile-options.ts";
export { compileRecipe } from "./compile-recipe.ts";
export type { CompiledStep } from "./compile-steps.ts";
export type {
  CompiledEnvironment,
  CompiledPackage,
  CompiledRecipe,
  CompiledTest,
  PackageData,
  SkippedRecipe,
} from "./compiled-recipe.ts";
export { compiledConfiguration } from "./configuration.ts";
// For implementers: environments, and pipelines from elsewhere.
export type { EnvironmentAdditions, EnvironmentRequest, PathChange } from "./environment-request.ts";
export type { ParsedRecipe, ParseOptions, Recipe } from "./parse-recipe.ts";
export { parseRecipe } from "./parse-recipe.ts";
export type { PipelineFile, PipelineSource } from "./pipeline-definitions.ts";
export { pipelineDirectories } from "./pipeline-directories.ts";
export type { PlanOptions, RecipePlan } from "./plan-recipe.ts";
export { planBuild, planTests } from "./plan-recipe.ts";
export { queryRecipe } from "./query-recipe.ts";
export type { FileOptions, PlannedRecipe, ReadOptions } from "./read-recipe.ts";
export { parseRecipeFile, readRecipe } from "./read-recipe.ts";
export type { Written } from "./written.ts";
export { yamlText } from "./yaml-text.ts";
