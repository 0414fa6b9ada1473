import { isAbsolute } from "node:path";
import { cacheMountsOf, type EngineOptions, type Unit } from "@melange2/core";

/** Says once of each folder of this machine that steps are to see: a daemon has a cache of its own in its place. */
export function hostFolderNotices({ onFinding }: EngineOptions): (unit: Unit) => void {
  const told = new Set<string>();
  return (unit) => {
    for (const { source, target } of unit.steps.flatMap(cacheMountsOf)) {
      if (!isAbsolute(source) || told.has(source)) continue;
      told.add(source);
      onFinding?.({
        severity: "warning",
        message: `on BuildKit, ${target} is a cache of the daemon: ${source} is neither read nor written`,
        hint: `Name it for all machines: --cache-mount NAME:${target}`,
      });
    }
  };
}
