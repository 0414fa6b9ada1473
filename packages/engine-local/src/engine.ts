import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Engine, EngineContext, EngineOptions, EngineSession } from "@melange2/core";
import { hostFindings, readHostFacts } from "./check.ts";
import { takeLocks } from "./file-lock.ts";
import { throwIfAborted } from "./foreign-errors.ts";
import { readHost } from "./host.ts";
import { layerStore } from "./layer-store.ts";
import { fifoPool } from "./output-fifos.ts";
import { createSession } from "./session.ts";
import { createSessionDirectory } from "./session-directory.ts";
import { removeSession, removeStaleSessions, sessionLock } from "./stale-sessions.ts";
import { createStateDirectory, stateDirectory } from "./state-directory.ts";

/** The embedded engine: Linux namespaces and overlay snapshots, no daemon. */
export function localEngine(context: EngineContext): Engine {
  return {
    name: "local",
    check: async ({ signal }) => hostFindings(await readHostFacts(context, signal)),
    open: (options) => openSession(context, options),
  };
}

async function openSession(context: EngineContext, options: EngineOptions): Promise<EngineSession> {
  throwIfAborted(options.signal);
  const host = readHost(context.env);
  const state = stateDirectory(context.stateDirectory, host.mapping);
  createStateDirectory(state);
  await removeStaleSessions(host, state, options.signal);
  const store = layerStore(state);
  const name = randomBytes(8).toString("hex");
  const locks = await takeLocks(
    host,
    [
      { file: join(state.locks, "state"), kind: "shared" },
      { file: sessionLock(state, name), kind: "exclusive" },
    ],
    { wait: true, signal: options.signal },
  );
  const directory = createSessionDirectory(join(state.tmp, name), store);
  const space = { host, state, store, directory, fifos: fifoPool(host, directory.fifos), options };
  return createSession(space, async () => {
    await using _ = locks;
    // An aborted build cleans up all the same.
    await removeSession(host, state, name, new AbortController().signal);
  });
}
