import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { StateRef } from "@melange2/core";
import { bytesOf, writeFileAtomically } from "@melange2/oci";
import { isDiskFull } from "./foreign-errors.ts";
import { isMapping, type Mapping } from "./host.ts";
import { type LayerStore, newLayerId } from "./layer-store.ts";
import { keptSnapshot, type LocalSnapshot } from "./local-snapshot.ts";
import { type StateDirectory, stateDirectory } from "./state-directory.ts";
import { noteLitter } from "./upkeep-notes.ts";

/** States that must not go, each a file in `keep/`. */
export interface KeptStates {
  keep(at: LocalSnapshot): Promise<StateRef>;
  /** undefined: dropped, pruned, or made under another mapping of users. */
  find(ref: StateRef): LocalSnapshot | undefined;
  drop(ref: StateRef): void;
  /** Drops those that are not among these, and whose session is gone: a process was killed before it wrote down what it had kept. */
  dropStrays(known: readonly StateRef[]): void;
  /** The layers of each kept state, by the state's name here. */
  all(): ReadonlyMap<string, readonly string[]>;
  /** The name of a reference's state here; undefined where it is none of ours. */
  nameOf(ref: StateRef): string | undefined;
}

const suffix = ".json";

/** @param session Name of the session that keeps states here, which is on disk while it lives. */
export function keptStates(state: StateDirectory, store: LayerStore, mapping: Mapping, session?: string): KeptStates {
  const file = (name: string) => join(state.keep, name + suffix);

  // What is kept never changes, so each file is read once.
  const known = new Map<string, readonly string[]>();
  const layersOf = (name: string): readonly string[] => {
    const layers = known.get(name) ?? readKept(file(name))?.layers ?? [];
    known.set(name, layers);
    return layers;
  };

  const isName = (name: unknown): name is string => typeof name === "string" && /^[0-9a-f]+$/.test(name);
  const nameOf = (ref: StateRef): string | undefined =>
    ref.engine === "local" && ref.mapping === mapping && isName(ref.state) ? ref.state : undefined;

  /** Of a state of whatever mapping: the machine's may have changed since it was kept. */
  const placeOf = (ref: StateRef): { state: StateDirectory; file: string } | undefined => {
    if (ref.engine !== "local" || !isMapping(ref.mapping) || !isName(ref.state)) return undefined;
    const own = stateDirectory(dirname(state.root), ref.mapping);
    return { state: own, file: join(own.keep, ref.state + suffix) };
  };

  const names = () =>
    readdirSync(state.keep)
      .filter((entry) => entry.endsWith(suffix))
      .map((entry) => entry.slice(0, -suffix.length));

  const drop: KeptStates["drop"] = (ref) => {
    const kept = placeOf(ref);
    const layers = kept === undefined ? undefined : readKept(kept.file)?.layers;
    if (kept === undefined || layers === undefined) return;
    try {
      noteLitter(kept.state, layers);
    } catch (error) {
      // A full disk gets its room from this.
      if (!isDiskFull(error)) throw error;
    }
    rmSync(kept.file, { force: true });
  };

  return {
    nameOf,
    drop,
    dropStrays(known) {
      const written = new Set(known.map(nameOf));
      const strays = names().filter((name) => {
        if (written.has(name)) return false;
        const keeper = readKept(file(name))?.session;
        return keeper === undefined || !existsSync(join(state.tmp, keeper));
      });
      for (const name of strays) drop({ engine: "local", mapping, state: name });
    },
    async keep(at) {
      const name = newLayerId();
      try {
        await writeFileAtomically(file(name), bytesOf(Buffer.from(JSON.stringify({ ...at, session }))));
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
    all() {
      return new Map(names().map((name) => [name, layersOf(name)]));
    },
  };
}

function readKept(file: string): (LocalSnapshot & { readonly session?: string }) | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
