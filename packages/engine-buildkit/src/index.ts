import { defineEngine } from "@melange2/core";
import { buildkitEngine } from "./engine.ts";
import { buildkitOptions } from "./options.ts";

// For users.
export type { BuildkitOptions } from "./options.ts";
export { buildkitEngine, buildkitOptions };

// For hosts of plugins: what the manifest names.
export default defineEngine({
  name: "buildkit",
  contract: 1,
  summary: "Runs steps on a BuildKit daemon, its own or Docker's",
  options: buildkitOptions,
  create: buildkitEngine,
});
