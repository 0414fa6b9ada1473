import { randomInt, randomUUID } from "node:crypto";
import type { Export, Served, SolveResult, Tree, TreeEntry } from "@melange2/buildkit-client";
import type { ImageFile, ImageSpec } from "@melange2/core";
import { marshal } from "@melange2/llb";
import type { BuildSpace } from "./build-space.ts";
import { imageConfigOf } from "./image-config.ts";
import { filesTree, imageState } from "./image-state.ts";
import { tellDifferences } from "./layer-repairs.ts";
import { neverRun } from "./permits.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";
import { compareStates } from "./state-comparison.ts";

export interface ImageJobOptions {
  readonly export: Export;
  readonly credentials?: Served["credentials"];
  readonly signal: AbortSignal;
}

/**
 * Hands a state with the image's own files to an exporter, in a job of its own: the one way that takes an image config on every daemon. Executes no step: a
 * state that is gone rejects, see `refusedToRun`.
 */
export async function exportImage(
  space: BuildSpace,
  at: BuildkitSnapshot,
  spec: ImageSpec,
  { signal, ...options }: ImageJobOptions,
): Promise<SolveResult> {
  const comparison = await compareStates(space, at, signal);
  tellDifferences(comparison, space.options);
  const { state, history } = imageState(at, spec, { comparison, merges: space.daemon.takesApart, nonce: randomUUID() });
  await using job = space.client.job({
    serve: {
      trees: { [filesTree]: treeOf(spec.files) },
      secrets: neverRun,
      ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    },
    exports: [options.export],
    signal,
  });
  const reference = await job.solve(marshal(state).bytes, { signal });
  return await job.finish({ reference, metadata: { "containerimage.config": imageConfigOf(spec, history) } });
}

/** What the session serves as {@link filesTree}; in the image, all files get another time. */
export function treeOf(files: readonly ImageFile[]): Tree {
  // A daemon keeps a file of the last export that has the same size and time, whatever is in it: no two exports may have the same time.
  const mtime = BigInt(Date.now()) * 1_000_000n + BigInt(randomInt(1_000_000));
  return { entries: () => files.map((one) => entryOf(one, mtime)) };
}

function entryOf({ path, kind, mode, owner, size, open }: ImageFile, mtime: bigint): TreeEntry {
  const attributes = { path, mode, ...owner, mtime };
  return kind === "directory" ? { ...attributes, type: "directory" } : { ...attributes, type: "file", size, open };
}
