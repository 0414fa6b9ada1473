import type { EngineSession } from "@melange2/core";
import { debugImage } from "./debug-image.ts";
import { enterState } from "./enter-state.ts";
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
  const kept = keptStates(space.state, space.store, space.host.mapping);
  const combined = (signal: AbortSignal) => AbortSignal.any([signal, space.options.signal]);
  return {
    can: { atFailure: space.options.capture, mtime: "ns", xattrs: "all", claims: ["archive"] },
    load: async (environment, { signal }) => loadEnvironment(space, environment, combined(signal)),
    run: async (unit, from, options) => runUnit(space, unit, localSnapshot(from), options),
    read: (at, path, { signal }) => readState(space, at, path, combined(signal)),
    search: async (states, needles, { signal }) =>
      searchLayers(space, states.map(localSnapshot), needles, combined(signal)),
    image: (at, spec) => debugImage(space, localSnapshot(at), spec),
    keep: async (at) => kept.keep(localSnapshot(at)),
    find: async (ref) => kept.find(ref),
    drop: async (ref) => kept.drop(ref),
    keptBytes: async (refs, { signal }) => keptBytes(space, kept, refs, combined(signal)),
    enter: async (at, options) => enterState(space, localSnapshot(at), options),
    [Symbol.asyncDispose]: close,
  };
}
