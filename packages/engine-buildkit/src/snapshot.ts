import type { Snapshot } from "@melange2/core";
import type { State } from "@melange2/llb";
import { engineError } from "./foreign-errors.ts";

/** What the states of one environment stand on. */
export interface BaseFacts {
  /** What it is called in the graph. */
  readonly name: string;
  readonly state: State;
  /** The same tree in the layers that the base came in; set where units stand on a copy of it. */
  readonly image?: State | undefined;
  /** Media types of its layers, bottom first. */
  readonly layers: readonly string[];
}

/** A state in the daemon: the graph that makes it, whose results the daemon keeps. */
export interface BuildkitSnapshot extends Snapshot {
  readonly state: State;
  readonly base: BaseFacts;
  /** Units that ran on the base. */
  readonly units: number;
  /** undefined for a base. */
  readonly run: UnitRun | undefined;
}

/** The execution that left a state. */
export interface UnitRun {
  readonly marker: string;
  /** Tells it from another execution of the same unit. */
  readonly id: string;
  readonly failed: boolean;
  /** Where the wrapper's files are, in the state beside the one that the unit left. */
  readonly statusFolder: string;
}

const brand = new WeakSet<Snapshot>();

export function baseSnapshot(base: BaseFacts): BuildkitSnapshot {
  return branded({
    id: `base-${base.state.vertex?.digest.slice(7)}`,
    state: base.state,
    base,
    units: 0,
    run: undefined,
  });
}

export function snapshotOfRun(
  parts: Pick<BuildkitSnapshot, "state" | "base" | "units"> & { readonly run: UnitRun },
): BuildkitSnapshot {
  return branded({ ...parts, id: `${parts.run.marker}-${parts.run.id}` });
}

/** Refuses a snapshot of another engine. */
export function buildkitSnapshot(snapshot: Snapshot): BuildkitSnapshot {
  if (brand.has(snapshot)) return snapshot as BuildkitSnapshot;
  throw engineError(`the state ${snapshot.id} is not one of the BuildKit engine`, "Use the engine that made it.");
}

function branded(snapshot: BuildkitSnapshot): BuildkitSnapshot {
  brand.add(snapshot);
  return snapshot;
}
