export { newBuildId } from "./build-id.ts";
export type { Budget, KeptBuild } from "./retention.ts";
export { beyondBudget, defaultBudget } from "./retention.ts";
export type {
  FailureStore,
  KeptEnvironment,
  KeptFailure,
  KeptStates,
  StoredFailure,
  UnreadableFailure,
} from "./store.ts";
export { failureStore } from "./store.ts";
