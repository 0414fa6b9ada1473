import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Blob,
  blobFromBytes,
  blobFromFile,
  buildManifest,
  compressionOf,
  compressLayer,
  type Descriptor,
  type Digest,
  descriptorOf,
  hexOf,
  type Layer,
  mediaTypes,
  ownedName,
  readyBlob,
  removeOrphans,
  type StringMap,
} from "@melange2/oci";
import { sourcesOf } from "./blob-source.ts";
import { concurrently } from "./concurrently.ts";
import { fromOciError } from "./oci-errors.ts";
import type { Repository } from "./repository.ts";

/** An image as bytes here. Layers bottom first; the config names their diff ids in the same order. */
export interface PushableImage {
  readonly config: Uint8Array;
  readonly annotations: StringMap;
  readonly layers: readonly Layer[];
}

export interface PushOptions {
  /** Without one, the image is there by its digest only. */
  readonly tag?: string | undefined;
  readonly signal: AbortSignal;
  /** Bytes of blobs settled so far, sent or found there, never less than before; and of all blobs, undefined while layers are still being compressed. */
  readonly onProgress?: ((done: number, total: number | undefined) => void) | undefined;
  /** Repositories of the same registry to mount layers from, besides those that the layers' descriptors name. */
  readonly mountFrom?: readonly string[] | undefined;
  /** Where layers are compressed to before they are sent; default the system's temporary directory. */
  readonly spoolDirectory?: string | undefined;
}

export interface Pushed {
  /** Digest of the config. */
  readonly imageId: Digest;
  readonly manifest: Descriptor;
  /** Bytes of blobs and manifest that were sent. */
  readonly bytes: number;
}

const spoolPrefix = "melange2-push";

/** Layers of one image under way at the same time. */
const width = 3;

/**
 * Pushes an image: blobs that the repository lacks, then the manifest under its tag, so that the tag never names an incomplete image.
 * Stored blobs go as they are; layers without one are gzipped first. The same image always has the same manifest.
 */
export async function pushImage(repository: Repository, image: PushableImage, options: PushOptions): Promise<Pushed> {
  const directory = options.spoolDirectory ?? tmpdir();
  await removeOrphans(directory, spoolPrefix);
  const spool = join(directory, ownedName(spoolPrefix));
  await mkdir(spool, { mode: 0o700 });
  try {
    return await push(repository, image, options, spool);
  } catch (error) {
    throw fromOciError(error);
  } finally {
    await rm(spool, { recursive: true, force: true });
  }
}

async function push(
  repository: Repository,
  image: PushableImage,
  options: PushOptions,
  spool: string,
): Promise<Pushed> {
  const config = blobFromBytes(image.config, descriptorOf(image.config, mediaTypes.config));
  const progress = createProgress(image.layers.length + 1, options.onProgress);

  const settle = async (blob: Blob, mountFrom: readonly string[]): Promise<number> => {
    const account = progress.open(blob.descriptor.size);
    const arrival = await repository.uploadBlob(blob, { mountFrom, onProgress: account });
    account(blob.descriptor.size);
    return arrival === "uploaded" ? blob.descriptor.size : 0;
  };

  // An image may hold one layer twice, but it is sent once.
  const sent = new Map<Digest, Promise<{ descriptor: Descriptor; bytes: number }>>();
  const layers = await concurrently(image.layers, width, async (layer) => {
    const known = sent.get(layer.diffId);
    if (known !== undefined) {
      const { descriptor } = await known;
      progress.open(0);
      return { descriptor, bytes: 0 };
    }
    const sending = (async () => {
      const blob = await compressed(layer, spool, options.signal);
      const sources = [...sourcesOf(layer.blob, repository.registry), ...(options.mountFrom ?? [])];
      const bytes = await settle(blob, sources);
      await rm(spoolFile(spool, layer), { force: true });
      return { descriptor: blob.descriptor, bytes };
    })();
    sent.set(layer.diffId, sending);
    return sending;
  });

  const configBytes = await settle(config, []);
  const manifest = buildManifest({
    config: image.config,
    layers: layers.map(({ descriptor }) => descriptor),
    annotations: image.annotations,
  });
  await repository.putManifest(options.tag ?? manifest.descriptor.digest, manifest);
  return {
    imageId: config.descriptor.digest,
    manifest: manifest.descriptor,
    bytes: layers.reduce((sum, { bytes }) => sum + bytes, configBytes) + manifest.content.length,
  };
}

async function compressed(layer: Layer, spool: string, signal: AbortSignal): Promise<Blob> {
  // A stored blob keeps its form: recompressed, it would be another blob, which the registry lacks.
  const stored = layer.blob === undefined ? undefined : compressionOf(layer.blob.mediaType);
  const ready = stored === undefined ? undefined : await readyBlob(layer, stored, signal);
  if (ready !== undefined) return ready;
  const file = spoolFile(spool, layer);
  return blobFromFile(file, await compressLayer(layer, "gzip", file, { signal }));
}

function spoolFile(spool: string, layer: Layer): string {
  return join(spool, hexOf(layer.diffId));
}

/** Adds up the blobs of one push. The total is known when every blob's size is. */
function createProgress(blobs: number, report: PushOptions["onProgress"]) {
  let opened = 0;
  let total = 0;
  let done = 0;
  let told = 0;
  const tell = () => {
    // What has to be sent again was told once.
    told = Math.max(told, done);
    report?.(told, opened === blobs ? total : undefined);
  };
  return {
    /** One more blob; returns how its own progress is told. */
    open(size: number): (settled: number) => void {
      opened += 1;
      total += size;
      let own = 0;
      tell();
      return (settled) => {
        done += settled - own;
        own = settled;
        tell();
      };
    },
  };
}
