import type {
  BuildkitClient,
  Export,
  Served,
  SolveResult,
  StatusEvent,
  Tree,
  TreeEntry,
} from "@melange2/buildkit-client";
import type { ImageFile, ImageSpec } from "@melange2/core";
import { file, local, marshal, type State } from "@melange2/llb";
import { imageConfigOf } from "./image-description.ts";
import { neverRun } from "./permits.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";

const filesTree = "melange2-files";

export interface ImageJobOptions {
  readonly export: Export;
  readonly credentials?: Served["credentials"];
  readonly onStatus?: (event: StatusEvent) => void;
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
  await using job = client.job({
    serve: {
      trees: { [filesTree]: treeOf(spec) },
      secrets: neverRun,
      ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    },
    exports: [options.export],
    signal,
    ...(options.onStatus === undefined ? {} : { onStatus: options.onStatus }),
  });
  const reference = await job.solve(marshal(stateOf(at, spec)).bytes, { signal });
  return await job.finish({ reference, metadata: { "containerimage.config": imageConfigOf(at, spec) } });
}

function stateOf(at: BuildkitSnapshot, spec: ImageSpec): State {
  if (spec.files.length === 0) return at.state;
  // Without one hint for all, each export would leave a copy of its files in the daemon.
  const from = local(filesTree, { sharedKeyHint: filesTree });
  return file(
    at.state,
    [{ type: "copy", from, source: "/", destination: "/", contents: true, timestamp: createdOf(spec) }],
    { name: "melange2 files" },
  );
}

function treeOf(spec: ImageSpec): Tree {
  const mtime = createdOf(spec);
  return { entries: () => spec.files.map((one) => entryOf(one, mtime)) };
}

function entryOf({ path, kind, mode, owner, size, open }: ImageFile, mtime: bigint): TreeEntry {
  const attributes = { path, mode, ...owner, mtime };
  return kind === "directory" ? { ...attributes, type: "directory" } : { ...attributes, type: "file", size, open };
}

function createdOf({ created }: ImageSpec): bigint {
  return BigInt(Date.parse(created)) * 1_000_000n;
}
