import { localEngine } from "./engine.ts";

// For users.
export type { Upkeep } from "./engine.ts";
export type { Pruned, PruneOptions, StateUsage } from "./prune-state.ts";
export { pruneState, stateUsage } from "./prune-state.ts";
// For hosts of plugins: the factory that the manifest names.
export { localEngine };
export default localEngine;
