import { buildkitEngine } from "./engine.ts";

// For hosts of plugins: the factory that the manifest names.
export { buildkitEngine };
export default buildkitEngine;
