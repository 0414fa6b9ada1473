import type { SecretSource } from "@melange2/core";
import type { BuildSpace } from "./build-space.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";

export async function searchStates(
  _space: BuildSpace,
  _states: readonly BuildkitSnapshot[],
  _needles: SecretSource,
  _signal: AbortSignal,
): Promise<readonly string[]> {
  return [];
}
