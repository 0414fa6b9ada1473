import { existsSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { EngineContext } from "@melange2/core";
import { takeLocks } from "./file-lock.ts";
import { type Host, readHost } from "./host.ts";
import { runJob } from "./jobs.ts";
import { keptStates } from "./kept-states.ts";
import { layerSizes } from "./layer-sizes.ts";
import { type LayerStore, layerStore, newLayerId } from "./layer-store.ts";
import { layersToPrune, type PrunableLayer } from "./prune-plan.ts";
import { createStateDirectory, type StateDirectory, stateDirectory } from "./state-directory.ts";

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
  const sum = (kept: boolean) =>
    layers.filter(({ id }) => pinned.has(id) === kept).reduce((total, { bytes }) => total + bytes, 0);
  return { keptBytes: sum(true), cacheBytes: sum(false) };
}

/** Removes what no kept state stands on, longest unused first, down to a budget. Waits for nobody. */
export async function pruneState(context: EngineContext, options: PruneOptions): Promise<Pruned> {
  const store = opened(context);
  const { host, state } = store;
  await using locks = await takeLocks(host, [{ file: join(state.locks, "state"), kind: "exclusive" }], {
    wait: false,
    signal: options.signal,
  });
  if (!locks.acquired) return { busy: true };
  const { layers, pinned } = await inventory(store, options.signal);
  const gone = layersToPrune(layers, pinned, options.cacheBytes);
  await remove(host, state, gone, options.signal);
  return { busy: false, freedBytes: gone.reduce((total, { bytes }) => total + bytes, 0) };
}

interface Opened {
  readonly host: Host;
  readonly state: StateDirectory;
  readonly layers: LayerStore;
}

function opened(context: EngineContext): Opened {
  const host = readHost(context.env);
  const state = stateDirectory(context.stateDirectory, host.mapping);
  createStateDirectory(state);
  return { host, state, layers: layerStore(state) };
}

async function inventory({ host, state, layers: store }: Opened, signal: AbortSignal) {
  const ids = readdirSync(state.layers);
  const remembered = new Set(readdirSync(state.cache).map((key) => readlinkSync(join(state.cache, key))));
  const sizes = await layerSizes(host, state, store, ids, signal);
  const layers = ids.map(
    (id): PrunableLayer => ({
      id,
      parents: store.meta(id).parents,
      bytes: sizes.get(id) ?? 0,
      lastUsed: statSync(join(state.layers, id, "meta.json")).mtimeMs,
      // A failed step's layer, or one of a run that was to be kept apart, is of no use to a later build.
      reusable: remembered.has(id) || /^(?:base|merged)-/.test(id),
    }),
  );
  const pinned = new Set([...keptStates(state, store, host.mapping).all().values()].flat());
  return { layers, pinned };
}

/** Layers leave by a rename first, so that a removal cut short leaves no half a layer. */
async function remove(
  host: Host,
  state: StateDirectory,
  layers: readonly PrunableLayer[],
  signal: AbortSignal,
): Promise<void> {
  const trash = join(state.tmp, `pruned-${newLayerId()}`);
  mkdirSync(trash, { mode: 0o700 });
  for (const { id } of layers) renameSync(join(state.layers, id), join(trash, id));
  for (const key of readdirSync(state.cache)) {
    const link = join(state.cache, key);
    if (!existsSync(join(state.layers, readlinkSync(link)))) rmSync(link);
  }
  for (const blob of readdirSync(state.blobs))
    if (!existsSync(join(state.layers, blob.split(".")[0] as string))) rmSync(join(state.blobs, blob));
  await runJob(host, [host.tool("rm"), "-rf", "--", trash], { doing: "removing layers", signal });
}
