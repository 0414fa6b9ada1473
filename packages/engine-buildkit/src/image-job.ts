import type { BuildkitClient, Export, Served, SolveResult, Tree, TreeEntry } from "@melange2/buildkit-client";
import type { ImageFile, ImageSpec } from "@melange2/core";
import { marshal } from "@melange2/llb";
import { imageConfigOf } from "./image-config.ts";
import { createdOf, filesTree, imageState } from "./image-state.ts";
import { neverRun } from "./permits.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";

export interface ImageJobOptions {
  readonly export: Export;
  readonly credentials?: Served["credentials"];
  readonly signal: AbortSignal;
}

/**
 * Hands a state with the image's own files to an exporter, in a job of its own: the one way that takes an image config on every daemon. Executes nothing: a
 * state that is gone rejects, see `refusedToRun`.
 */
export async function exportImage(
  client: BuildkitClient,
  at: BuildkitSnapshot,
  spec: ImageSpec,
  { signal, ...options }: ImageJobOptions,
): Promise<SolveResult> {
  const { state, history } = imageState(at, spec);
  await using job = client.job({
    serve: {
      trees: { [filesTree]: treeOf(spec) },
      secrets: neverRun,
      ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    },
    exports: [options.export],
    signal,
  });
  const reference = await job.solve(marshal(state).bytes, { signal });
  return await job.finish({ reference, metadata: { "containerimage.config": imageConfigOf(spec, history) } });
}

function treeOf(spec: ImageSpec): Tree {
  const mtime = createdOf(spec);
  return { entries: () => spec.files.map((one) => entryOf(one, mtime)) };
}

function entryOf({ path, kind, mode, owner, size, open }: ImageFile, mtime: bigint): TreeEntry {
  const attributes = { path, mode, ...owner, mtime };
  return kind === "directory" ? { ...attributes, type: "directory" } : { ...attributes, type: "file", size, open };
}
