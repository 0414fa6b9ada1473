import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { StateRef } from "@melange2/core";
import { bytesOf, writeFileAtomically } from "@melange2/oci";
import type { Mapping } from "./host.ts";
import { type LayerStore, newLayerId } from "./layer-store.ts";
import { keptSnapshot, type LocalSnapshot } from "./local-snapshot.ts";
import type { StateDirectory } from "./state-directory.ts";
import { noteLitter } from "./upkeep-notes.ts";

/** States that must not go, each a file in `keep/`. */
export interface KeptStates {
  keep(at: LocalSnapshot): Promise<StateRef>;
  /** undefined: dropped, pruned, or made under another mapping of users. */
  find(ref: StateRef): LocalSnapshot | undefined;
  drop(ref: StateRef): void;
  /** The layers of each kept state, by the state's name here. */
  all(): ReadonlyMap<string, readonly string[]>;
  /** The name of a reference's state here; undefined where it is none of ours. */
  nameOf(ref: StateRef): string | undefined;
}

const suffix = ".json";

export function keptStates(state: StateDirectory, store: LayerStore, mapping: Mapping): KeptStates {
  const file = (name: string) => join(state.keep, name + suffix);

  // What is kept never changes, so each file is read once.
  const known = new Map<string, readonly string[]>();
  const layersOf = (name: string): readonly string[] => {
    const layers = known.get(name) ?? readKept(file(name))?.layers ?? [];
    known.set(name, layers);
    return layers;
  };

  const nameOf = (ref: StateRef): string | undefined =>
    ref.engine === "local" && ref.mapping === mapping && typeof ref.state === "string" && /^[0-9a-f]+$/.test(ref.state)
      ? ref.state
      : undefined;

  return {
    nameOf,
    async keep(at) {
      const name = newLayerId();
      try {
        await writeFileAtomically(file(name), bytesOf(Buffer.from(JSON.stringify(at))));
      } catch (error) {
        // Nobody else will name its layers.
        noteLitter(state);
        throw error;
      }
      return { engine: "local", mapping, state: name };
    },
    find(ref) {
      const name = nameOf(ref);
      const kept = name === undefined ? undefined : readKept(file(name));
      return kept?.layers.every((id) => store.has(id)) ? keptSnapshot(kept) : undefined;
    },
    drop(ref) {
      const name = nameOf(ref);
      const kept = name === undefined ? undefined : readKept(file(name));
      if (name === undefined || kept === undefined) return;
      rmSync(file(name), { force: true });
      noteLitter(state, kept.layers);
    },
    all() {
      const names = readdirSync(state.keep)
        .filter((entry) => entry.endsWith(suffix))
        .map((entry) => entry.slice(0, -suffix.length));
      return new Map(names.map((name) => [name, layersOf(name)]));
    },
  };
}

function readKept(file: string): LocalSnapshot | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as LocalSnapshot;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
