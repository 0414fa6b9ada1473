import { isMelangeError, noSecrets, type Tell } from "@melange2/core";
import { type FailureStore, failureStore, type KeptStates, type StoredFailure } from "@melange2/records";
import type { EngineChoice } from "../engine/choose-engine.ts";
import { openEngine } from "../engine/open-engine.ts";
import type { BuildHost } from "../host.ts";
import { refsOf } from "../run/keep-failure.ts";

export interface ForgetOptions {
  readonly host: BuildHost;
  /** The id of a kept build, or its beginning; undefined: all. */
  readonly build: string | undefined;
  /** Forgets builds, too, whose states cannot be freed. */
  readonly force: boolean;
  readonly tell: Tell;
  readonly signal: AbortSignal;
}

export interface Forgotten {
  readonly forgotten: readonly string[];
  /** Builds whose engine could not free their states; why is told. */
  readonly notFreed: readonly string[];
}

/** Forgets kept builds and has their engines free what they hold. Rejects with `not-found` for a build that is not kept. */
export async function forgetBuilds(options: ForgetOptions): Promise<Forgotten> {
  const store = failureStore(options.host.places.builds);
  const { chosen, broken } = await choose(store, options.build);
  const byEngine = Map.groupBy(chosen, ({ states }) => JSON.stringify(engineOf(states)));
  const notFreed: string[] = [];
  for (const same of byEngine.values()) notFreed.push(...(await free(same, store, options)));
  const gone = [...chosen.map(({ id }) => id).filter((id) => options.force || !notFreed.includes(id)), ...broken];
  for (const id of gone) await store.remove(id);
  return { forgotten: gone, notFreed };
}

/** Where the beginning of an id is given, it is that of one build, readable or not. */
async function choose(
  store: FailureStore,
  build: string | undefined,
): Promise<{ readonly chosen: readonly StoredFailure[]; readonly broken: readonly string[] }> {
  const { failures, unreadable } = await store.list();
  if (build === undefined) return { chosen: failures, broken: unreadable.map(({ id }) => id) };
  const broken = unreadable.map(({ id }) => id).filter((id) => id.startsWith(build));
  const only = broken.length === 1 && !failures.some(({ id }) => id.startsWith(build));
  return only ? { chosen: [], broken } : { chosen: [await store.read(build)], broken: [] };
}

/** Has one engine drop the states of its builds, and forgets those. Gives the builds where it could not, which is told. */
async function free(
  failures: readonly StoredFailure[],
  store: FailureStore,
  { host, tell, signal }: ForgetOptions,
): Promise<readonly string[]> {
  const [first] = failures;
  if (first === undefined) return [];
  const left = new Map(failures.map(({ id, states }) => [id, refsOf(states)]));
  const tellNotFreed = (ids: readonly string[], error: unknown) => {
    if (!isMelangeError(error) || error.code === "interrupted") throw error;
    const why = [error, ...error.problems].map(({ message }) => message).join(": ");
    tell({
      type: "notice",
      level: "warning",
      message: `the states of ${ids.join(", ")} could not be freed: ${why}`,
      hint: "Mend that; or add --force to forget the builds all the same, where the engine is gone with what it holds.",
    });
  };
  try {
    await using session = await openEngine({
      host,
      engine: engineOf(first.states),
      secrets: noSecrets,
      network: false,
      tell,
      signal,
    });
    const known = await store.allStates();
    if (known !== undefined) await session.dropStrays?.(known, { signal });
    for (const [id, refs] of left) {
      try {
        for (const ref of refs) await session.drop(ref, { signal });
        await store.remove(id);
        left.delete(id);
      } catch (error) {
        tellNotFreed([id], error);
      }
    }
  } catch (error) {
    tellNotFreed([...left.keys()], error);
  }
  return [...left.keys()];
}

function engineOf({ engine, options = {} }: KeptStates): EngineChoice {
  return { name: engine, options };
}
