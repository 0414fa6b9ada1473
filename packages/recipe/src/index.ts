// For users: from a recipe to a plan.
export type { CompileOptions } from "./compile-options.ts";
export type { CompiledRecipe, Recipe } from "./compile-recipe.ts";
export { compileRecipe } from "./compile-recipe.ts";
// For implementers: pipelines from elsewhere.
export type { EnvironmentAdditions } from "./environment-request.ts";
export type { PipelineFile, PipelineSource } from "./pipeline-definitions.ts";
export { pipelineDirectories } from "./pipeline-directories.ts";
export type { EnvironmentRequest, PlannedPackage } from "./planned.ts";
export type { ReadOptions } from "./read-recipe.ts";
export { readRecipe } from "./read-recipe.ts";
