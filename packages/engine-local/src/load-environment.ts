import { join } from "node:path";
import type { Environment, Layer } from "@melange2/core";
import { takeLocks } from "./file-lock.ts";
import { fromOci, throwIfAborted } from "./foreign-errors.ts";
import { baseLayerId, newDraft } from "./layer-store.ts";
import { baseSnapshot, type LocalSnapshot } from "./local-snapshot.ts";
import { unpackLayer } from "./unpack-layer.ts";
import type { WorkSpace } from "./work-space.ts";

/** Unpacks the layers that are not there yet, once for all builds. */
export async function loadEnvironment(
  space: WorkSpace,
  environment: Environment,
  signal: AbortSignal,
): Promise<LocalSnapshot> {
  throwIfAborted(signal);
  for (const layer of environment.layers) await ensureLayer(space, layer, signal);
  return baseSnapshot(environment.layers.map(({ diffId }) => baseLayerId(diffId)));
}

async function ensureLayer(
  { host, state, store, directory }: WorkSpace,
  layer: Layer,
  signal: AbortSignal,
): Promise<void> {
  const id = baseLayerId(layer.diffId);
  if (store.touch(id)) return;
  await using _ = await takeLocks(host, [{ file: join(state.locks, id), kind: "exclusive" }], { wait: true, signal });
  // Another build may have unpacked it while this one waited.
  if (store.touch(id)) return;
  const draft = newDraft(directory.path);
  try {
    store.commit(id, draft, await unpackLayer(host, layer, draft, signal));
  } catch (error) {
    throw fromOci(error, "environment");
  }
}
