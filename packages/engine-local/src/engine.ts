import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Engine, EngineContext, EngineOptions, EngineSession, Finding } from "@melange2/core";
import { hostFindings, readHostFacts } from "./check.ts";
import { deviceNodes } from "./device-nodes.ts";
import { type HeldLocks, takeLocks } from "./file-lock.ts";
import { fromSystem, throwIfAborted } from "./foreign-errors.ts";
import { type Host, readHost } from "./host.ts";
import { layerSizes } from "./layer-sizes.ts";
import { layerStore } from "./layer-store.ts";
import { fifoPool } from "./output-fifos.ts";
import { defaultCacheBytes, tidyState } from "./prune-state.ts";
import { keepReserve, withReserve } from "./reserve.ts";
import { createSession } from "./session.ts";
import { createSessionDirectory } from "./session-directory.ts";
import { removeSession, removeStaleSessions, sessionLock } from "./stale-sessions.ts";
import { createStateDirectory, type StateDirectory, stateDirectory } from "./state-directory.ts";
import { noteGrowth } from "./upkeep-notes.ts";
import type { WorkSpace } from "./work-space.ts";

/** The embedded engine: Linux namespaces and overlay snapshots, no daemon. */
export function localEngine(context: EngineContext, { cacheBytes = defaultCacheBytes }: Upkeep = {}): Engine {
  return {
    name: "local",
    check: async ({ signal }) => hostFindings(await readHostFacts(context, signal)),
    open: (options) =>
      openSession(context, options, cacheBytes).catch((error) => {
        throw fromSystem(error, context.stateDirectory);
      }),
  };
}

export interface Upkeep {
  /** What may stay, when a session ends, of the layers that no kept state stands on. Default: 10 GB. */
  readonly cacheBytes?: number;
}

async function openSession(context: EngineContext, options: EngineOptions, cacheBytes: number): Promise<EngineSession> {
  throwIfAborted(options.signal);
  const host = readHost(context.env);
  const state = stateDirectory(context.stateDirectory, host.mapping);
  createStateDirectory(state);
  const { name, locks, space } = await withReserve(state, () => openSpace(host, state, options));
  return createSession(space, async () => {
    // An aborted build cleans up all the same, but for what another one can do as well.
    const always = new AbortController().signal;
    const troubles: unknown[] = [];
    const trying = (work: () => Promise<void>) => work().catch((error) => troubles.push(error));
    {
      await using _ = locks;
      const noting = trying(() => noteMade(space, always));
      await removeSession(host, state, name, always);
      await noting;
    }
    if (!options.signal.aborted) await trying(() => tidyState(space, cacheBytes, options.signal));
    keepReserve(state);
    if (troubles.length > 0 && !options.signal.aborted) options.onFinding?.(untidy(troubles[0]));
  });
}

/** What a session works with, under locks that say that it lives. */
async function openSpace(
  host: Host,
  state: StateDirectory,
  options: EngineOptions,
): Promise<{ readonly name: string; readonly locks: HeldLocks; readonly space: WorkSpace }> {
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
  try {
    const directory = createSessionDirectory(join(state.tmp, name), store);
    const devices = deviceNodes(host, join(state.root, "devices"), join(directory.path, "nodes"));
    const space = { host, state, store, directory, fifos: fifoPool(host, directory.fifos), devices, options };
    return { name, locks, space };
  } catch (error) {
    await locks[Symbol.asyncDispose]();
    throw error;
  }
}

/** A build is what it is, whether or not the disk is tidy. */
function untidy(cause: unknown): Finding {
  return {
    severity: "warning",
    message: `layers that nobody needs could not be removed: ${cause instanceof Error ? cause.message : String(cause)}`,
    hint: "The next build tries again; see that the state folder's disk has room and can be written.",
  };
}

async function noteMade({ host, state, store }: WorkSpace, signal: AbortSignal): Promise<void> {
  const made = store.made();
  if (made.length === 0) return;
  const sizes = await layerSizes(host, state, store, made, signal);
  noteGrowth(
    state,
    [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0),
  );
}
