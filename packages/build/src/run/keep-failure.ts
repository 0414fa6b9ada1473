import { isDeepStrictEqual } from "node:util";
import type {
  EngineSession,
  Environment,
  FailedStep,
  FailureRecord,
  Plan,
  Snapshot,
  StateRef,
  Tell,
} from "@melange2/core";
import { beyondBudget, defaultBudget, type FailureStore } from "@melange2/records";
import type { EngineChoice } from "../engine/choose-engine.ts";
import { bytes } from "../quantities.ts";

export interface KeepOptions {
  readonly failed: FailedStep["failed"];
  readonly record: FailureRecord;
  readonly plan: Plan;
  readonly engine: EngineChoice;
  readonly environment: Environment;
  readonly base: string;
  readonly logs: ReadonlyMap<string, Uint8Array>;
  readonly session: EngineSession;
  readonly store: FailureStore;
  readonly tell: Tell;
  readonly signal: AbortSignal;
}

/** Pins the failed build's states and writes its record; where one cannot be done, no pin stays, since nothing would name it. */
export async function keepFailure(options: KeepOptions): Promise<void> {
  const { failed, session, signal } = options;
  const pinned: StateRef[] = [];
  const pin = async (state: Snapshot): Promise<StateRef> => {
    const ref = await session.keep(state, { signal });
    pinned.push(ref);
    return ref;
  };
  try {
    const start = await pin(failed.start);
    const before = await pin(failed.before);
    const atFailure = "unavailable" in failed.atFailure ? failed.atFailure : await pin(failed.atFailure);
    await saveRecord(options, { start, before, atFailure });
  } catch (error) {
    // What broke the keeping is what the user must hear of. An interrupt does not stop this.
    const always = new AbortController().signal;
    await Promise.allSettled(pinned.map((ref) => session.drop(ref, { signal: always })));
    throw error;
  }
}

async function saveRecord(options: KeepOptions, states: Parameters<typeof refsOf>[0]): Promise<void> {
  await options.store.save(
    {
      record: options.record,
      plan: options.plan,
      states: {
        engine: options.engine.name,
        options: options.engine.options,
        ...states,
        environment: {
          platform: options.environment.platform,
          config: options.environment.config,
          base: options.base,
          diffIds: options.environment.layers.map(({ diffId }) => diffId),
        },
      },
    },
    options.logs,
  );
}

/**
 * Drops the oldest kept builds beyond the budget, never `build`, the one that has just failed. Only builds of this session's engine, told the same,
 * can be measured and dropped here; those of others stay until their engine is used again.
 */
export async function dropBeyondBudget(
  build: string,
  options: Pick<KeepOptions, "engine" | "session" | "store" | "tell" | "signal">,
): Promise<void> {
  const { session, store, signal, tell } = options;
  const known = await store.allStates();
  if (known !== undefined) await session.dropStrays?.(known, { signal });
  const { failures } = await store.list();
  const own = failures.filter(
    ({ states }) =>
      states.engine === options.engine.name && isDeepStrictEqual(states.options ?? {}, { ...options.engine.options }),
  );
  // Another build may have ended since, or the clock have been set back.
  own.sort((a, b) => Number(b.id === build) - Number(a.id === build));
  const sizes = new Map<string, number>();
  for (const failure of own) {
    sizes.set(failure.id, await session.keptBytes(refsOf(failure.states), { signal }));
  }
  const expired = beyondBudget(
    own.map(({ id }) => ({ id, bytes: sizes.get(id) ?? 0 })),
    defaultBudget,
  );
  for (const id of expired) {
    const failure = own.find((one) => one.id === id);
    if (!failure) continue;
    for (const ref of refsOf(failure.states)) await session.drop(ref, { signal });
    await store.remove(id);
    tell({
      type: "notice",
      level: "info",
      message: `the kept build ${id} (${failure.record.subject.name}, ${bytes(sizes.get(id) ?? 0)}) was dropped: the ${defaultBudget.builds} latest failures are kept, at most ${bytes(defaultBudget.bytes)}`,
    });
  }
}

/** For an export that could not be noted in its record: the image is delivered, whatever became of that meanwhile. */
export const tellNotNoted = (id: string, tell: Tell) => (error: Error) => {
  const message = `the export is not noted with the kept build ${id}: ${error.message}`;
  tell({ type: "notice", level: "warning", message, hint: "The image is where the receipt says." });
};

export function refsOf(states: {
  readonly start: StateRef;
  readonly before: StateRef;
  readonly atFailure: StateRef | { readonly unavailable: string };
}): readonly StateRef[] {
  return isRef(states.atFailure) ? [states.start, states.before, states.atFailure] : [states.start, states.before];
}

export function isRef(state: StateRef | { readonly unavailable: string }): state is StateRef {
  return !("unavailable" in state);
}
