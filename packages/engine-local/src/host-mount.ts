import { chmodSync, mkdirSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import type { CacheMount } from "@melange2/core";
import type { StateDirectory } from "./state-directory.ts";

/** A mount as this machine has it: a cache's name becomes its folder, which is made where it is missing. */
export const hostMount =
  ({ caches }: StateDirectory) =>
  ({ source, target }: Pick<CacheMount, "source" | "target">): Pick<CacheMount, "source" | "target"> => {
    if (isAbsolute(source)) return { source, target };
    const folder = join(caches, source);
    if (mkdirSync(folder, { recursive: true }) !== undefined) {
      // Steps run as anyone; others of this machine are kept out by the folders above it.
      chmodSync(folder, 0o1777);
    }
    return { source: folder, target };
  };
