import type { EngineSession, Environment } from "@melange2/core";
import { debugImage } from "./debug-image.ts";
import { loadEnvironment } from "./load-environment.ts";
import { localSnapshot } from "./local-snapshot.ts";
import { runUnit } from "./run-unit.ts";
import type { WorkSpace } from "./work-space.ts";

export function createSession(space: WorkSpace, close: () => Promise<void>): EngineSession {
  const combined = (signal: AbortSignal) => AbortSignal.any([signal, space.options.signal]);
  const session: Omit<EngineSession, "read" | "search" | "keep" | "find" | "drop" | "keptBytes" | "enter"> = {
    can: { atFailure: space.options.capture, mtime: "ns", xattrs: "all", claims: ["archive"] },
    load: (environment: Environment, { signal }) => loadEnvironment(space, environment, combined(signal)),
    run: (unit, from, options) => runUnit(space, unit, localSnapshot(from), options),
    image: (at, spec) => debugImage(space, localSnapshot(at), spec),
    [Symbol.asyncDispose]: close,
  };
  return session as EngineSession;
}
