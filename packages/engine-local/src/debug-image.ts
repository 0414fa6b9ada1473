import { join } from "node:path";
import type {
  Compression,
  DebugImage,
  Delivered,
  DeliverOptions,
  ImageSpec,
  Layer,
  LocalImage,
  Target,
} from "@melange2/core";
import {
  type Blob,
  blobFromFile,
  buildImageConfig,
  compressLayer,
  layerFromTar,
  readyBlob,
  type TarInput,
  whiteoutHeader,
  writeArchive,
  writeTar,
} from "@melange2/oci";
import { fromOci, throwIfAborted } from "./foreign-errors.ts";
import { imageFileEntries } from "./image-file-entries.ts";
import { type ImageParts, imageParts } from "./image-layers.ts";
import { inParallel } from "./in-parallel.ts";
import { layerBlob, layerFile } from "./layer-blobs.ts";
import { newLayerId } from "./layer-store.ts";
import type { LocalSnapshot } from "./local-snapshot.ts";
import type { WorkSpace } from "./work-space.ts";

/** A state and what is said about it, as an image: the base's layers, one for each step, and one of files on top. */
export function debugImage(space: WorkSpace, at: LocalSnapshot, spec: ImageSpec): DebugImage {
  return {
    spec,
    async deliver(target, options) {
      if (target.kind !== "archive") return undefined;
      return guarded(combined(space, options.signal), (signal) =>
        deliverArchive(space, at, spec, target, { ...options, signal }),
      );
    },
    open: (options) => guarded(combined(space, options.signal), (signal) => openImage(space, at, spec, signal)),
  };
}

async function guarded<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  throwIfAborted(signal);
  try {
    return await work(signal);
  } catch (error) {
    // Whatever the reason of the signal was: what stops here with it is told as one thing.
    throwIfAborted(signal);
    throw fromOci(error, "engine");
  }
}

async function deliverArchive(
  space: WorkSpace,
  at: LocalSnapshot,
  spec: ImageSpec,
  target: Extract<Target, { kind: "archive" }>,
  { signal, onProgress }: DeliverOptions,
): Promise<Delivered> {
  const parts = imageParts(at);
  const blobs = await inParallel([...parts.base, ...parts.steps], signal, (part, either) =>
    layerBlob(space, part, target.compression, either),
  );
  const top = spec.files.length === 0 ? undefined : await filesLayer(spec, signal);
  const topBlob = top === undefined ? [] : [await blobOf(space, top, target.compression, signal)];
  const diffIds = [...blobs.map(({ diffId }) => diffId), ...(top === undefined ? [] : [top.diffId])];
  const written = await writeArchive(target.sink, {
    config: configOf(spec, parts, diffIds).content,
    layers: [...blobs.map(({ blob }) => blob), ...topBlob],
    annotations: spec.annotations,
    names: target.names,
    signal,
    onProgress,
  });
  return { imageId: written.imageId, manifest: written.manifest, bytes: written.bytes };
}

async function openImage(
  space: WorkSpace,
  at: LocalSnapshot,
  spec: ImageSpec,
  signal: AbortSignal,
): Promise<LocalImage> {
  const parts = imageParts(at);
  const layers = [
    ...(await inParallel([...parts.base, ...parts.steps], signal, (part, either) => layerFile(space, part, either))),
    ...(spec.files.length > 0 ? [await filesLayer(spec, signal)] : []),
  ];
  const { content, imageId } = configOf(
    spec,
    parts,
    layers.map(({ diffId }) => diffId),
  );
  return {
    imageId,
    config: content,
    annotations: spec.annotations,
    layers,
    // Its bytes are the state directory's, kept there for the next time.
    [Symbol.asyncDispose]: async () => {},
  };
}

function configOf(spec: ImageSpec, parts: ImageParts, diffIds: readonly Layer["diffId"][]) {
  const base = parts.base.map((_, index) => `base layer ${index + 1} of ${parts.base.length}`);
  const files = spec.files.length > 0 ? ["melange2: the failure record"] : [];
  const steps = spec.history.length === parts.steps.length ? spec.history : parts.words;
  return buildImageConfig({
    platform: spec.platform,
    config: spec.config,
    labels: spec.labels,
    created: spec.created,
    diffIds,
    history: [...base, ...steps, ...files],
  });
}

/** The image's own files, with the time of the failure: nothing of it depends on when it is made. */
function filesLayer(spec: ImageSpec, signal: AbortSignal): Promise<Layer> {
  const mtime = BigInt(Date.parse(spec.created)) * 1_000_000n;
  return layerFromTar(() => writeTar(ownEntries(spec, mtime)), signal);
}

/** Of what a step left in the folders of these files nothing is in the image: a file more in there would change what `rerun` runs. */
function* ownEntries({ files }: ImageSpec, mtime: bigint): Iterable<TarInput> {
  for (const entry of imageFileEntries(files, mtime)) {
    yield entry;
    const { name: path, type } = entry.header;
    const outermost = type === "directory" && !path.includes("/");
    if (outermost) yield { header: { ...whiteoutHeader({ kind: "opaque", path }), mtime } };
  }
}

async function blobOf(space: WorkSpace, layer: Layer, compression: Compression, signal: AbortSignal): Promise<Blob> {
  const ready = await readyBlob(layer, compression, signal);
  if (ready !== undefined) return ready;
  const path = join(space.directory.path, `files-${newLayerId()}`);
  return blobFromFile(path, await compressLayer(layer, compression, path, { signal }));
}

function combined(space: WorkSpace, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([space.options.signal, signal]);
}
