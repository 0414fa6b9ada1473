import { createHash } from "node:crypto";
import { commandOf, type Unit } from "@melange2/core";
import { stateVersion } from "./state-directory.ts";

export interface KeyInput {
  /** Id of the layer below: a random name, so that what stands on a step that ran again is made again too. */
  readonly parent: string;
  readonly unit: Unit;
  readonly architecture: string;
  readonly network: boolean;
}

/**
 * Names the result of a unit: everything that its steps can see, except the values of secrets. A time limit is left out,
 * since a result that is there kept within it.
 */
export function cacheKey(input: KeyInput): string {
  const steps = input.unit.steps.map((step) => [
    commandOf(step),
    Object.entries(step.env).sort(([a], [b]) => (a < b ? -1 : 1)),
    [...step.secretEnv].sort(),
    step.workdir,
    [step.user.uid, step.user.gid],
    [[...step.capabilities.add].sort(), [...step.capabilities.drop].sort()],
    step.mounts,
  ]);
  const text = JSON.stringify([stateVersion, input.parent, input.architecture, input.network, steps]);
  return createHash("sha256").update(text).digest("hex");
}
