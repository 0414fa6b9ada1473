import { createHash } from "node:crypto";
import type { Snapshot } from "@melange2/core";
import { engineError } from "./foreign-errors.ts";

/** A state: layers on top of each other. */
export interface LocalSnapshot extends Snapshot {
  /** Ids, bottom first. */
  readonly layers: readonly string[];
  /** How many of them, from the bottom, are the base's. */
  readonly base: number;
}

const brand = new WeakSet<Snapshot>();

/** The state that a base is; its id names all its layers. */
export function baseSnapshot(layers: readonly string[]): LocalSnapshot {
  const id = `base-${createHash("sha256").update(layers.join("\n")).digest("hex")}`;
  return branded({ id, layers, base: layers.length });
}

/** The state that a step left. A step's layer only ever stands on one state, so its id is the state's. */
export function snapshotAbove(below: LocalSnapshot, layer: string): LocalSnapshot {
  return branded({ id: layer, layers: [...below.layers, layer], base: below.base });
}

export function keptSnapshot(snapshot: LocalSnapshot): LocalSnapshot {
  return branded({ ...snapshot });
}

/** Refuses a snapshot of another engine. */
export function localSnapshot(snapshot: Snapshot): LocalSnapshot {
  if (brand.has(snapshot)) return snapshot as LocalSnapshot;
  throw engineError(`the state ${snapshot.id} is not one of the embedded engine`, "use the engine that made it");
}

/** The layers that a new layer on this state names as its parents. */
export function parentsFor(state: LocalSnapshot): readonly string[] {
  return state.layers.length > state.base ? state.layers.slice(-1) : state.layers;
}

function branded(snapshot: LocalSnapshot): LocalSnapshot {
  brand.add(snapshot);
  return snapshot;
}
