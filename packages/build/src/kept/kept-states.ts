import { isDeepStrictEqual } from "node:util";
import {
  ancestryOf,
  type Environment,
  isMelangeError,
  type LostFailure,
  MelangeError,
  type RestoredFailure,
  type RestoreOptions,
  restoreFailure,
  runTask,
  type Snapshot,
  stepsToRestore,
  type Unit,
} from "@melange2/core";
import type { FailureStore, KeptEnvironment, KeptStates, StoredFailure } from "@melange2/records";
import { baseEnvironment } from "../environment/base-environment.ts";
import type { BuildHost } from "../host.ts";
import { isRef, refsOf } from "../run/keep-failure.ts";

export interface KeptStatesOptions extends Omit<RestoreOptions, "lost" | "load"> {
  readonly stored: StoredFailure;
  readonly store: FailureStore;
  readonly host: BuildHost;
  readonly unit: Unit;
  /** Index in the unit. */
  readonly step: number;
}

/**
 * The states of a kept build as its engine has them. What the failed step left may be gone; with `rerun` all is made again that is gone, and
 * kept again. Rejects with `state-gone`.
 */
export async function openStates(options: KeptStatesOptions, rerun: boolean): Promise<RestoredFailure> {
  const { stored } = options;
  const lost = await findStates(options);
  if (rerun) return restore(options, lost);
  const { start, before } = lost;
  if (start === undefined || before === undefined) throw stateGone(stored.id, stepsToRestore(lost));
  const gone = { unavailable: "the engine no longer has it; debug export --rerun makes it again" };
  const atFailure = lost.atFailure ?? (isRef(stored.states.atFailure) ? gone : stored.states.atFailure);
  return { failed: { ...lost, start, before, atFailure }, reexecuted: stored.states.reexecuted ?? 0 };
}

async function findStates({ stored, session, unit, step, signal }: KeptStatesOptions): Promise<LostFailure> {
  const { states, plan } = stored;
  const start = await session.find(states.start, { signal });
  const before = await session.find(states.before, { signal });
  const atFailure = isRef(states.atFailure) ? await session.find(states.atFailure, { signal }) : undefined;
  return {
    id: stored.id,
    completed: ancestryOf(plan, unit).units,
    unit,
    step,
    start,
    before,
    atFailure,
  };
}

async function restore(options: KeptStatesOptions, lost: LostFailure): Promise<RestoredFailure> {
  const { stored, store, session, signal } = options;
  const { failed, ...how } = await restoreFailure({ ...options, lost, load: () => loadAgain(options) });
  // What an image says of its state is the same whenever it is exported.
  const reexecuted = how.reexecuted || (stored.states.reexecuted ?? 0);
  const { start, before, atFailure } = failed;
  const keep = (state: Snapshot) => session.keep(state, { signal });
  const states: KeptStates = {
    ...stored.states,
    start: await keep(start),
    before: await keep(before),
    atFailure: "unavailable" in atFailure ? atFailure : await keep(atFailure),
    reexecuted,
  };
  await store.replaceStates(stored.id, states);
  const stillKept = refsOf(states);
  for (const ref of refsOf(stored.states)) {
    if (!stillKept.some((other) => isDeepStrictEqual(other, ref))) await session.drop(ref, { signal });
  }
  return { failed, reexecuted };
}

function loadAgain(options: KeptStatesOptions): Promise<Snapshot> {
  const { stored, session, host, signal } = options;
  return runTask(options, { id: "load", label: "load environment" }, async () =>
    session.load(await composedAgain(stored.states.environment, host, signal), { signal }),
  );
}

/** The base from where it was, what composing added from the folder of bases. Both have to be what they were. */
async function composedAgain(
  kept: KeptEnvironment,
  { places: { bases }, env }: BuildHost,
  signal: AbortSignal,
): Promise<Environment> {
  const { composedLayers } = await import("@melange2/environment");
  const { platform, config, diffIds } = kept;
  const how = { platform, basesDirectory: bases, env, signal, onProgress: () => {} };
  const base = await (kept.base === "" ? nothing(platform) : baseEnvironment(kept.base, how)).catch(
    (error: unknown) => {
      if (!isMelangeError(error) || error.code === "interrupted") throw error;
      throw environmentGone(`the base ${kept.base} cannot be read: ${error.message}`, error);
    },
  );
  if (base.layers.some(({ diffId }, index) => diffId !== diffIds[index])) {
    throw environmentGone(`the base ${kept.base} is not what it was`);
  }
  const added = await composedLayers(diffIds.slice(base.layers.length), { cacheDirectory: bases });
  if (added === undefined)
    throw environmentGone(`the packages or the copy of the source directory are no longer in ${bases}`);
  return { platform, config, layers: [...base.layers, ...added] };
}

/** What an environment of packages alone begins with: all of its layers were added. */
async function nothing(platform: Environment["platform"]): Promise<Environment> {
  return { platform, config: {}, layers: [] };
}

function environmentGone(why: string, cause?: unknown): MelangeError {
  return new MelangeError("state-gone", `the steps cannot be run again: ${why}`, { hint: "Build again.", cause });
}

function stateGone(id: string, steps: number): MelangeError {
  const again = `about ${steps} ${steps === 1 ? "step" : "steps"} would run again`;
  return new MelangeError("state-gone", `the states of build ${id} are gone from the engine`, {
    hint: `Make them again: melange2 debug export --rerun (${again}). Record and log are still there: melange2 debug show.`,
  });
}
