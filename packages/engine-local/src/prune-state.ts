import { existsSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { EngineContext } from "@melange2/core";
import { takeLocks } from "./file-lock.ts";
import { type Host, readHost } from "./host.ts";
import { keptStates } from "./kept-states.ts";
import { layerSizes } from "./layer-sizes.ts";
import { layerStore, newLayerId } from "./layer-store.ts";
import { layersToPrune, type PrunableLayer } from "./prune-plan.ts";
import { removeSession, sessionLock } from "./stale-sessions.ts";
import { createStateDirectory, type StateDirectory, stateDirectory } from "./state-directory.ts";
import { growthOf, litterOf, notePruned } from "./upkeep-notes.ts";
import type { WorkSpace } from "./work-space.ts";

export interface StateUsage {
  /** Layers that kept states stand on, with their blobs. */
  readonly keptBytes: number;
  /** Layers that only make later builds faster. */
  readonly cacheBytes: number;
}

export interface PruneOptions {
  /** What may stay of the layers that no kept state stands on. 0: none of them. */
  readonly cacheBytes: number;
  readonly signal: AbortSignal;
}

export type Pruned =
  | { readonly busy: false; readonly freedBytes: number }
  /** A session is open on this state directory; nothing was removed. */
  | { readonly busy: true };

/** What the state directory holds, on disk. */
export async function stateUsage(context: EngineContext, options: { signal: AbortSignal }): Promise<StateUsage> {
  const { layers, pinned } = await inventory(opened(context), options.signal);
  const bytes = (kept: boolean) => sumOf(layers.filter(({ id }) => pinned.has(id) === kept));
  return { keptBytes: bytes(true), cacheBytes: bytes(false) };
}

/** Removes what no kept state stands on, longest unused first, down to a budget. Waits for nobody. */
export async function pruneState(context: EngineContext, options: PruneOptions): Promise<Pruned> {
  const space = opened(context);
  const done = await removeLayers(space, options.signal, () => beyond(space, options.cacheBytes, options.signal));
  return done === undefined ? { busy: true } : { busy: false, freedBytes: done.freedBytes };
}

/** What stays, from session to session, of the layers that no kept state stands on. */
export const defaultCacheBytes = 10e9;

/**
 * What is left to do when a session has ended: removes layers that nobody can find any more and, where the cache has outgrown its budget, the longest
 * unused ones, down to four fifths of that, so that the next sessions need not look again. Nothing while another session is open: its end does it.
 */
export async function tidyState(space: Opened, cacheBytes: number, signal: AbortSignal): Promise<void> {
  const outgrown = growthOf(space.state) > cacheBytes;
  if (!outgrown && litterOf(space.state) === undefined) return;
  await removeLayers<Chosen>(space, signal, () =>
    outgrown ? beyond(space, 0.8 * cacheBytes, signal) : unfindable(space, signal),
  );
}

type Opened = Pick<WorkSpace, "host" | "state" | "store">;

function opened(context: EngineContext): Opened {
  const host = readHost(context.env);
  const state = stateDirectory(context.stateDirectory, host.mapping);
  createStateDirectory(state);
  return { host, state, store: layerStore(state) };
}

async function inventory({ host, state, store }: Opened, signal: AbortSignal) {
  const ids = readdirSync(state.layers);
  const remembered = rememberedLayers(state);
  const sizes = await layerSizes(host, state, store, ids, signal);
  const layers = ids.map(
    (id): PrunableLayer => ({
      id,
      parents: store.meta(id).parents,
      bytes: sizes.get(id) ?? 0,
      lastUsed: statSync(join(state.layers, id, "meta.json")).mtimeMs,
      reusable: isReusable(id, remembered),
    }),
  );
  return { layers, pinned: pinnedLayers({ host, state, store }) };
}

function rememberedLayers(state: StateDirectory): ReadonlySet<string> {
  return new Set(readdirSync(state.cache).map((key) => readlinkSync(join(state.cache, key))));
}

/** A failed step's layer, or one of a run that was to be kept apart, is of no use to a later build. */
function isReusable(id: string, remembered: ReadonlySet<string>): boolean {
  return remembered.has(id) || /^(?:base|merged)-/.test(id);
}

function pinnedLayers({ host, state, store }: Opened): ReadonlySet<string> {
  return new Set([...keptStates(state, store, host.mapping).all().values()].flat());
}

/** Layers that neither a later build nor a kept state leads to. Looks at names only, and at the sizes of what dropped states leave to the cache. */
async function unfindable(space: Opened, signal: AbortSignal): Promise<Chosen> {
  const { host, state, store } = space;
  const remembered = rememberedLayers(state);
  const pinned = pinnedLayers(space);
  const ids = readdirSync(state.layers).filter((id) => !pinned.has(id) && !isReusable(id, remembered));
  const left = (litterOf(state) ?? []).filter((id) => !pinned.has(id) && isReusable(id, remembered));
  const sizes = await layerSizes(host, state, store, left, signal);
  return { ids, cacheBytes: growthOf(state) + sum([...sizes.values()]) };
}

async function beyond(space: Opened, cacheBytes: number, signal: AbortSignal) {
  const { layers, pinned } = await inventory(space, signal);
  const gone = layersToPrune(layers, pinned, cacheBytes);
  const cache = layers.filter(({ id }) => !pinned.has(id));
  const freedBytes = sumOf(gone);
  return { ids: gone.map(({ id }) => id), freedBytes, cacheBytes: sumOf(cache) - freedBytes };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

/** Layers to remove. */
interface Chosen {
  readonly ids: readonly string[];
  /** What stays of the cache then, at most. */
  readonly cacheBytes: number;
}

function sumOf(layers: readonly PrunableLayer[]): number {
  return sum(layers.map(({ bytes }) => bytes));
}

/** Removes the layers that are chosen once no session can be open; undefined: one is. Sessions may begin again before the last file is gone. */
async function removeLayers<T extends Chosen>(
  { host, state }: Opened,
  signal: AbortSignal,
  choose: () => Promise<T>,
): Promise<T | undefined> {
  const trash = `pruned-${newLayerId()}`;
  // As of a session that lives: a build that begins leaves the folder alone.
  const own = { file: sessionLock(state, trash), kind: "exclusive" } as const;
  await using _ = await takeLocks(host, [own], { wait: false, signal });
  try {
    const chosen = await whileAlone(host, state, signal, async () => {
      const all = await choose();
      setAside(state, all.ids, join(state.tmp, trash));
      notePruned(state, all.cacheBytes);
      return all;
    });
    if (chosen !== undefined && chosen.ids.length > 0) await removeSession(host, state, trash, signal);
    return chosen;
  } finally {
    rmSync(own.file, { force: true });
  }
}

async function whileAlone<T>(
  host: Host,
  state: StateDirectory,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T | undefined> {
  const lock = { file: join(state.locks, "state"), kind: "exclusive" } as const;
  await using locks = await takeLocks(host, [lock], { wait: false, signal });
  return locks.acquired ? await work() : undefined;
}

/** Layers leave by a rename, so that a removal cut short leaves no half a layer. */
function setAside(state: StateDirectory, ids: readonly string[], trash: string): void {
  if (ids.length === 0) return;
  mkdirSync(trash, { mode: 0o700 });
  for (const id of ids) renameSync(join(state.layers, id), join(trash, id));
  for (const key of readdirSync(state.cache)) {
    const link = join(state.cache, key);
    if (!existsSync(join(state.layers, readlinkSync(link)))) rmSync(link);
  }
  for (const blob of readdirSync(state.blobs))
    if (!existsSync(join(state.layers, blob.split(".")[0] as string))) rmSync(join(state.blobs, blob));
}
