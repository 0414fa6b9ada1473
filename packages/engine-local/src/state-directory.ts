import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Mapping } from "./host.ts";

/**
 * Where everything lives. Owners of files mean different things under different mappings, so each mapping has a tree of its own.
 *
 *     layers/ID/fs          what one step changed, in overlay's form; or one layer of a base
 *     layers/ID/meta.json   see LayerMeta
 *     layers/ID/original    the bytes a base layer came as
 *     cache/KEY             symlink whose text is the ID of the layer that this step made
 *     blobs/                layers as tars, made for an export, to be made again when missing
 *     keep/ID.json          a state that must not go
 *     tmp/SESSION/          one session's work, gone with it
 *     caches/NAME           what steps share from build to build, mounted where they ask for it; in no state
 *     locks/                files that flock holds
 *     devices/              nodes that each session copies for its sandboxes; made as root only
 *     growth, litter        see upkeep-notes.ts
 *     reserve               see reserve.ts
 */
export interface StateDirectory {
  readonly root: string;
  readonly layers: string;
  readonly cache: string;
  readonly blobs: string;
  readonly keep: string;
  readonly tmp: string;
  readonly caches: string;
  readonly locks: string;
}

/** Part of every cache key and of the directory's name: raise it when stored data or the way steps run change their meaning. */
export const stateVersion = 1;

export function stateDirectory(root: string, mapping: Mapping): StateDirectory {
  const own = join(root, `v${stateVersion}-${mapping}`);
  const folder = (name: string) => join(own, name);
  return {
    root: own,
    layers: folder("layers"),
    cache: folder("cache"),
    blobs: folder("blobs"),
    keep: folder("keep"),
    tmp: folder("tmp"),
    caches: folder("caches"),
    locks: folder("locks"),
  };
}

/** Makes what is missing, private to the user. */
export function createStateDirectory(state: StateDirectory): void {
  for (const path of Object.values(state)) mkdirSync(path, { recursive: true, mode: 0o700 });
}
