// For tests: what they ask for.

export { startBuildkit } from "./buildkit.ts";
export type { Skippable } from "./provided.ts";
export { fullRun, program, provided, root } from "./provided.ts";
// For whoever runs them: what is there, and starting it by hand.
export type { Provision, Started } from "./provision.ts";
export type { ProvisionName } from "./provisions.ts";
export { provisions } from "./provisions.ts";
export type { Relay } from "./relay.ts";
export { startRelay } from "./relay.ts";
export { createRunFolder } from "./run-folder.ts";
export type { Services } from "./start.ts";
export { start } from "./start.ts";
export { removeOwnTree } from "./temporary-folder.ts";
