import type { OptionSchema } from "@melange2/core";
import { buildkitOptions } from "@melange2/engine-buildkit/options";

/** The one file of the CLI that names engines, exporters and capture strategies; tooling/layers holds that. */
export const defaults = { engine: "local", exporter: "tarball", capture: "current-state" } as const;

/** The state that `debug rerun` starts from: as it was before the step. */
export const rerunCapture = "last-good";

/** Engines whose options are flags of their own. The options' names begin with the engine's name, so that their flags are not those of others. */
export const flaggedEngines: readonly { readonly engine: string; readonly options: OptionSchema }[] = [
  { engine: "buildkit", options: buildkitOptions },
];

/** What help says of them. */
export const helpTexts = {
  engine: "What runs the steps: local (this machine, no daemon), buildkit, or a plugin's; melange2 engines lists them",
  capture: "State that is exported: last-good, current-state, two-phase, or a plugin's; melange2 captures lists them",
  rerun: "The state it starts from; last-good: as it was before the step",
  kept: "Which state is captured: last-good, current-state, two-phase, or one of a plugin",
  debugExport: "Runs nothing again, unless --capture=two-phase or --rerun asks for it.",
} as const;
