import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Bytes, Compression, Descriptor, Digest, Layer } from "@melange2/core";
import {
  type Blob,
  blobFromFile,
  compress,
  compressionOf,
  compressLayer,
  decompress,
  digester,
  layerFromFile,
  layerMediaType,
  verified,
  writeFileAtomically,
  writeTar,
} from "@melange2/oci";
import { readDirectory } from "./directory-tar.ts";
import { engineError, fromOci } from "./foreign-errors.ts";
import { toLayerForm } from "./overlay-form.ts";
import type { WorkSpace } from "./work-space.ts";

/** A layer as a file that an image can hold. */
export interface LayerBlob {
  readonly diffId: Digest;
  readonly tarSize: number;
  readonly blob: Blob;
}

/**
 * The layer's blob in this compression, or in the form its base came in where that serves as well; made on first use and kept.
 * `onBytes`: bytes of the plain tar done so far, while one is made.
 */
export async function layerBlob(
  space: WorkSpace,
  id: string,
  compression: Compression,
  signal: AbortSignal,
): Promise<LayerBlob> {
  const path = join(space.state.blobs, `${id}.${compression}`);
  try {
    return (
      originalBlob(space, id, compression) ??
      storedBlob(path) ??
      (await (id.startsWith("base-") ? compressBase : packStep)(space, id, compression, path, signal))
    );
  } catch (error) {
    throw fromOci(error, "engine");
  }
}

/** The layer as `oci` sees layers: its plain tar, and a compressed form where one is there. */
export async function layerFile(space: WorkSpace, id: string, signal: AbortSignal): Promise<Layer> {
  const plain = await layerBlob(space, id, "none", signal);
  const { diffId, tarSize } = plain;
  const compressed = storedBlob(join(space.state.blobs, `${id}.gzip`))?.blob;
  if (isPlain(plain.blob)) return layerFromFile(pathOf(space, id, "none"), { diffId, tarSize, blob: compressed });
  // A base that came compressed.
  return {
    diffId,
    blob: plain.blob.descriptor,
    open: (as) =>
      as === "blob"
        ? plain.blob.open()
        : verified(decompress(plain.blob.open()), { digest: diffId }, `layer ${diffId}`),
  };
}

function pathOf(space: WorkSpace, id: string, compression: Compression): string {
  return id.startsWith("base-") ? space.store.original(id) : join(space.state.blobs, `${id}.${compression}`);
}

function isPlain(blob: Blob): boolean {
  return compressionOf(blob.descriptor.mediaType) === "none";
}

/**
 * Gzip is read by every loader, so what came as gzip goes as gzip, whatever was asked for; zstd only where zstd was asked for.
 */
function originalBlob(space: WorkSpace, id: string, compression: Compression): LayerBlob | undefined {
  const base = space.store.meta(id).base;
  if (base === undefined) return undefined;
  const found = compressionOf(base.original.mediaType);
  if (found !== "gzip" && found !== compression) return undefined;
  // Docker's own media types and OCI's do not mix in one manifest.
  const descriptor = { ...base.original, mediaType: layerMediaType(found) };
  return { diffId: base.diffId, tarSize: base.tarSize, blob: blobFromFile(space.store.original(id), descriptor) };
}

interface StoredBlob {
  readonly diffId: Digest;
  readonly tarSize: number;
  readonly descriptor: Descriptor;
}

/** The description is written after the blob, so where it is the blob is whole. */
function storedBlob(path: string): LayerBlob | undefined {
  try {
    const { diffId, tarSize, descriptor } = JSON.parse(readFileSync(`${path}.json`, "utf8")) as StoredBlob;
    return { diffId, tarSize, blob: blobFromFile(path, descriptor) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function remember(path: string, stored: StoredBlob): Promise<LayerBlob> {
  await writeFileAtomically(`${path}.json`, onceBytes(JSON.stringify(stored)));
  return { diffId: stored.diffId, tarSize: stored.tarSize, blob: blobFromFile(path, stored.descriptor) };
}

async function* onceBytes(text: string): Bytes {
  yield Buffer.from(text);
}

async function compressBase(
  space: WorkSpace,
  id: string,
  compression: Compression,
  path: string,
  signal: AbortSignal,
): Promise<LayerBlob> {
  const base = space.store.meta(id).base;
  if (base === undefined) throw engineError(`the layer ${id} has lost its description`, "prune the state directory");
  const { diffId, tarSize } = base;
  const layer: Layer = { diffId, open: () => decompress(blobFromFile(space.store.original(id), base.original).open()) };
  const descriptor = await compressLayer(layer, compression, path, { signal });
  return remember(path, { diffId, tarSize, descriptor });
}

/** One pass: the directory as a tar, its digest, compressed, into the file. */
async function packStep(
  space: WorkSpace,
  id: string,
  compression: Compression,
  path: string,
  signal: AbortSignal,
): Promise<LayerBlob> {
  const entries = readDirectory(space.host, space.store.files(id), { doing: "packing a layer", signal });
  const plain = digester();
  const packed = digester();
  const tar = summed(writeTar(toLayerForm(entries)), plain);
  await writeFileAtomically(path, summed(compress(tar, compression), packed));
  const { digest: diffId, size: tarSize } = plain.result();
  return remember(path, {
    diffId,
    tarSize,
    descriptor: { mediaType: layerMediaType(compression), ...packed.result() },
  });
}

async function* summed(bytes: Bytes, sum: ReturnType<typeof digester>): Bytes {
  for await (const chunk of bytes) {
    sum.update(chunk);
    yield chunk;
  }
}
