import { createHash } from "node:crypto";
import { overlayText } from "./boot-script.ts";
import { throwIfAborted } from "./foreign-errors.ts";
import { runJob } from "./jobs.ts";
import { newDraft } from "./layer-store.ts";
import { maxLowers } from "./overlay-options.ts";
import { shellWords } from "./shell-quote.ts";
import type { WorkSpace } from "./work-space.ts";

/**
 * Layers to mount for a state: its own, or, where they are more than the kernel stacks, one that holds the oldest of them and
 * the rest. The merged layer is a cache like any other; what leaves the engine is always made of the state's own layers.
 */
export async function mountableLayers(
  space: WorkSpace,
  layers: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (layers.length <= maxLowers) return layers;
  // In steps of half the limit, so that a long build merges rarely.
  const half = maxLowers / 2;
  const count = Math.floor((layers.length - half) / half) * half;
  const merged = await mergedLayer(space, layers.slice(0, count), signal);
  return mountableLayers(space, [merged, ...layers.slice(count)], signal);
}

async function mergedLayer(space: WorkSpace, layers: readonly string[], signal: AbortSignal): Promise<string> {
  const { host, store, directory } = space;
  const id = `merged-${createHash("sha256").update(layers.join("\n")).digest("hex")}`;
  if (store.has(id)) return id;
  throwIfAborted(signal);
  const below = await mountableLayers(space, layers, signal);
  const draft = newDraft(directory.path);
  const lowers = [...below.map(directory.shortName).reverse(), "e"];
  const text = [
    ...overlayText(host, directory, { lowers }),
    shellWords([host.tool("cp"), "--archive", "--no-target-directory", ".", `${draft}/fs`]),
  ].join("\n");
  await runJob(host, ["/bin/sh", "-c", text], { doing: "merging layers", signal, mounts: true });
  store.commit(id, draft, { parents: layers });
  return id;
}
