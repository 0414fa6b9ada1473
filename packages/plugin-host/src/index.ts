// For hosts: collect what is installed, find one by name, import it when it is used.
export type { Contribution, Contributions, PluginProblem } from "./contributions.ts";
export { collectContributions } from "./contributions.ts";
export { findContribution, loadCapture, loadEngine, loadExporter } from "./load.ts";
export type { Kind, PluginPackage } from "./manifest.ts";
// For those who check a plugin's package.json.
export { checkManifest, kinds } from "./manifest.ts";
export type { GivenOption, OptionOwner } from "./options.ts";
export { optionsFromEnvironment, optionVariable, optionVariables, readOptions } from "./options.ts";
