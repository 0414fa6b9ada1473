// For users: a recipe to its end, and what is kept of builds that failed.

export type { StoredFailure, UnreadableFailure } from "@melange2/records";
export { failureStore, newBuildId } from "@melange2/records";
export type { BuildOptions, BuildOutcome } from "./build.ts";
export { build } from "./build.ts";
export type { Checked } from "./check/check-parts.ts";
// For whoever wants to know, before a build, what the machine lacks.
export { checkEngine, checkExporter } from "./check/check-parts.ts";
export type { EngineChoice, EngineRequest } from "./engine/choose-engine.ts";
export { chooseEngine, createEngine } from "./engine/choose-engine.ts";
export type { OpenEngineOptions } from "./engine/open-engine.ts";
// For whoever takes a build apart: its stages, one by one.
export { checkedEngine, openEngine, openSession } from "./engine/open-engine.ts";
export type { ComposeBuildOptions, ComposedBuild } from "./environment/compose-build.ts";
export { composeBuild } from "./environment/compose-build.ts";
export type { EnvironmentPackage, PackageOptions } from "./environment/packages-environment.ts";
export type {
  RecipeEnvironment,
  RecipeEnvironmentOptions,
  UseEnvironmentOptions,
} from "./environment/recipe-environment.ts";
export { enterEnvironment, exportEnvironment, recipeEnvironment } from "./environment/recipe-environment.ts";
export type { ExportAgain, ExportRequest, ReadyExport } from "./export/ready-export.ts";
export { readyExport } from "./export/ready-export.ts";
// For whoever shows builds.
export { writeChunk } from "./export/write-chunk.ts";
export type { BuildHost, Parts, Places } from "./host.ts";
export { placesIn } from "./host.ts";
export type { PackageDifference } from "./kept/compare-packages.ts";
export { comparePackages } from "./kept/compare-packages.ts";
export type { ForgetOptions, Forgotten } from "./kept/forget-builds.ts";
export { forgetBuilds } from "./kept/forget-builds.ts";
export type { KeptBuild, OpenKeptOptions } from "./kept/kept-build.ts";
export { openKeptBuild } from "./kept/kept-build.ts";
export { copyOut, readFileAt } from "./kept/kept-files.ts";
export type { ScratchProcess } from "./kept/scratch-process.ts";
export { runInScratch } from "./kept/scratch-process.ts";
export type { GivenParts } from "./parts.ts";
export { partsOf } from "./parts.ts";
export { installed } from "./programs.ts";
export { bytes, duration } from "./quantities.ts";
export { cacheMounts } from "./recipe/cache-mounts.ts";
export type { CompileBuildOptions, CompiledBuild } from "./recipe/compile-build.ts";
export { compileBuild } from "./recipe/compile-build.ts";
export type { CompiledFile, CompileFileOptions } from "./recipe/read-only.ts";
export { compileFile, packageVersion, queryFile, yamlText } from "./recipe/read-only.ts";
export type { BuildReport, ExportReport, FailureReport } from "./run/report.ts";
export type { RunBuildOptions } from "./run/run-build.ts";
export { runBuild } from "./run/run-build.ts";
export type { StepVariables, VariableSources } from "./variables/secrets.ts";
export { readVariables } from "./variables/secrets.ts";
