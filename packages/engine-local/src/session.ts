import { basename } from "node:path";
import type { EngineSession } from "@melange2/core";
import { debugImage } from "./debug-image.ts";
import { enterState } from "./enter-state.ts";
import { fromSystem } from "./foreign-errors.ts";
import { keptBytes } from "./kept-bytes.ts";
import { keptStates } from "./kept-states.ts";
import { loadEnvironment } from "./load-environment.ts";
import { localSnapshot } from "./local-snapshot.ts";
import { readState } from "./read-state.ts";
import { runUnit } from "./run-unit.ts";
import { searchLayers } from "./search-layers.ts";
import type { WorkSpace } from "./work-space.ts";

/** `close` ends what the session holds. */
export function createSession(space: WorkSpace, close: () => Promise<void>): EngineSession {
  /** With what the system says about the engine's files in our words. */
  const told = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw fromSystem(error, space.state.root);
    }
  };
  const kept = keptStates(space.state, space.store, space.host.mapping, basename(space.directory.path));
  const combined = (signal: AbortSignal) => AbortSignal.any([signal, space.options.signal]);
  return {
    can: { atFailure: space.options.capture, mtime: "ns", claims: ["archive"] },
    load: (environment, { signal }) => told(async () => loadEnvironment(space, environment, combined(signal))),
    run: (unit, from, options) => told(async () => runUnit(space, unit, localSnapshot(from), options)),
    read: (at, path, { signal }) => readState(space, at, path, combined(signal)),
    search: (states, needles, { signal }) =>
      told(async () => searchLayers(space, states.map(localSnapshot), needles, combined(signal))),
    image: (at, spec) => debugImage(space, localSnapshot(at), spec),
    keep: (at) => told(async () => kept.keep(localSnapshot(at))),
    find: (ref) => told(async () => kept.find(ref)),
    drop: (ref) => told(async () => kept.drop(ref)),
    dropStrays: (known) => told(async () => kept.dropStrays(known)),
    keptBytes: (refs, { signal }) => told(async () => keptBytes(space, kept, refs, signal)),
    enter: (at, options) => told(async () => enterState(space, localSnapshot(at), options)),
    [Symbol.asyncDispose]: close,
  };
}
