import { defineEngine } from "@melange2/core";
import { localEngine } from "./engine.ts";

// For users.
export type { Upkeep } from "./engine.ts";
export type { Pruned, PruneOptions, StateUsage } from "./prune-state.ts";
export { pruneState, stateUsage } from "./prune-state.ts";
export { localEngine };

// For hosts of plugins: what the manifest names.
export default defineEngine({
  name: "local",
  contract: 1,
  summary: "Runs steps on this machine, in Linux namespaces, with no daemon",
  options: {},
  create: (context) => localEngine(context),
});
