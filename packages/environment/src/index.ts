// For users: a base, and what a recipe puts on it.
export type { ComposedEnvironment, ComposeOptions } from "./compose-environment.ts";
export { composedLayers, composeEnvironment } from "./compose-environment.ts";
export type { EnvironmentRequest } from "./environment-request.ts";
export type { ApkDatabase, InstalledEnvironment, InstallOptions } from "./install-packages.ts";
export { apkDatabase, installPackages, mostPackageLayers } from "./install-packages.ts";
export type { Installed } from "./installed-packages.ts";
export type { MissingPackages } from "./missing-packages.ts";
export type { Base, OpenBaseOptions } from "./open-base.ts";
export { openBase } from "./open-base.ts";
export type { OnProgress } from "./progress.ts";
export type { LeftOut } from "./source-files.ts";
