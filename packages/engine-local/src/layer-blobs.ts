import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Bytes, Compression, Descriptor, Digest, Layer } from "@melange2/core";
import {
  type Blob,
  blobFromFile,
  bytesOf,
  compress,
  compressionOf,
  compressLayer,
  decompress,
  digester,
  layerFromBlob,
  layerFromFile,
  layerMediaType,
  type TarInput,
  writeFileAtomically,
  writeTar,
} from "@melange2/oci";
import { readDirectory } from "./directory-tar.ts";
import type { ImagePart } from "./image-layers.ts";
import { mergeLayers } from "./merge-layers.ts";
import { toLayerForm } from "./overlay-form.ts";
import type { WorkSpace } from "./work-space.ts";

/** A layer as a file that an image can hold. */
export interface LayerBlob {
  readonly diffId: Digest;
  readonly tarSize: number;
  readonly blob: Blob;
}

/** The part's blob in this compression, or in the form its base came in where that serves as well; made on first use and kept. */
export async function layerBlob(
  space: WorkSpace,
  part: ImagePart,
  compression: Compression,
  signal: AbortSignal,
): Promise<LayerBlob> {
  const path = blobPath(space, part, compression);
  const base = baseOf(space, part);
  const ready = (base && originalBlob(base, compression)) ?? storedBlob(path);
  if (ready !== undefined) return ready;
  return base === undefined
    ? packSteps(space, part, compression, path, signal)
    : compressBase(base, compression, path, signal);
}

/** The part as `oci` sees layers: its plain tar, and a compressed form where one is there. */
export async function layerFile(space: WorkSpace, part: ImagePart, signal: AbortSignal): Promise<Layer> {
  const base = baseOf(space, part);
  const stored = storedBlob(blobPath(space, part, "gzip"))?.blob;
  if (base !== undefined && !isPlain(base.original.descriptor)) return layerFromBlob(base.original, base.diffId);
  const { diffId, tarSize } = base ?? (await layerBlob(space, part, "none", signal));
  return layerFromFile(base?.path ?? blobPath(space, part, "none"), { diffId, tarSize, blob: stored });
}

function blobPath(space: WorkSpace, part: ImagePart, compression: Compression): string {
  return join(space.state.blobs, `${part.name}.${compression}`);
}

/** A base's layer, as it came. */
interface BaseLayer {
  readonly diffId: Digest;
  readonly tarSize: number;
  readonly path: string;
  readonly original: Blob;
}

function baseOf(space: WorkSpace, part: ImagePart): BaseLayer | undefined {
  const [id = ""] = part.layers;
  const base = space.store.meta(id).base;
  if (base === undefined) return undefined;
  const path = space.store.original(id);
  // Docker's own media types and OCI's do not mix in one manifest.
  const descriptor = { ...base.original, mediaType: layerMediaType(compressionOf(base.original.mediaType) ?? "none") };
  return { diffId: base.diffId, tarSize: base.tarSize, path, original: blobFromFile(path, descriptor) };
}

function isPlain(descriptor: Descriptor): boolean {
  return compressionOf(descriptor.mediaType) === "none";
}

/**
 * Gzip is read by every loader, so what came as gzip goes as gzip, whatever was asked for; zstd only where zstd was asked for.
 */
function originalBlob(base: BaseLayer, compression: Compression): LayerBlob | undefined {
  const found = compressionOf(base.original.descriptor.mediaType);
  if (found !== "gzip" && found !== compression) return undefined;
  return { diffId: base.diffId, tarSize: base.tarSize, blob: base.original };
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
  await writeFileAtomically(`${path}.json`, bytesOf(Buffer.from(JSON.stringify(stored))));
  return { diffId: stored.diffId, tarSize: stored.tarSize, blob: blobFromFile(path, stored.descriptor) };
}

async function compressBase(
  base: BaseLayer,
  compression: Compression,
  path: string,
  signal: AbortSignal,
): Promise<LayerBlob> {
  const { diffId, tarSize } = base;
  const layer: Layer = { diffId, open: () => decompress(base.original.open()) };
  const descriptor = await compressLayer(layer, compression, path, { signal });
  return remember(path, { diffId, tarSize, descriptor });
}

/** One pass: the directories as a tar, its digest, compressed, into the file. */
async function packSteps(
  space: WorkSpace,
  part: ImagePart,
  compression: Compression,
  path: string,
  signal: AbortSignal,
): Promise<LayerBlob> {
  const plain = digester();
  const packed = digester();
  const tar = summed(writeTar(stepEntries(space, part, signal)), plain);
  await writeFileAtomically(path, summed(compress(tar, compression), packed));
  const { digest: diffId, size: tarSize } = plain.result();
  return remember(path, {
    diffId,
    tarSize,
    descriptor: { mediaType: layerMediaType(compression), ...packed.result() },
  });
}

function stepEntries(space: WorkSpace, part: ImagePart, signal: AbortSignal): AsyncIterable<TarInput> {
  const open = (id: string) =>
    toLayerForm(readDirectory(space.host, space.store.files(id), { doing: "packing a layer", signal }));
  const [only = "", ...others] = part.layers;
  return others.length === 0 ? open(only) : mergeLayers(part.layers.map((id) => () => open(id)));
}

async function* summed(bytes: Bytes, sum: ReturnType<typeof digester>): Bytes {
  for await (const chunk of bytes) {
    sum.update(chunk);
    yield chunk;
  }
}
