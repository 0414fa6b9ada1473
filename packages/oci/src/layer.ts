import { stat } from "node:fs/promises";
import { abortable, type Bytes, bytesOf, counted } from "./bytes.ts";
import { compress, decompress } from "./compression.ts";
import type { Descriptor } from "./descriptor.ts";
import { type Digest, digester, digestOf, digestOfBytes, verified } from "./digest.ts";
import { OciError } from "./error.ts";
import { readFileBytes, writeFileAtomically } from "./file-bytes.ts";
import { type Compression, compressionOf, layerMediaType } from "./media-type.ts";
import type { TarHeader } from "./tar-entry.ts";
import { tarOf } from "./tar-writer.ts";

/** One immutable layer. `open("tar")` always works; `open("blob")` gives the stored compressed bytes where `blob` is set. Each call opens anew. */
export interface Layer {
  /** Digest of the uncompressed tar. */
  readonly diffId: Digest;
  /** Bytes of the uncompressed tar, where they are known without reading it. */
  readonly tarSize?: number | undefined;
  readonly blob?: Descriptor | undefined;
  open(as: "tar" | "blob"): Bytes;
  /** The file of this machine that holds just what `open` gives, where there is one. It never changes, but it may go away. */
  file?(as: "tar" | "blob"): string | undefined;
}

/** A blob and where its bytes are. `open` opens anew each time. */
export interface Blob {
  readonly descriptor: Descriptor;
  /** The file that holds these bytes and no others, where there is one. */
  readonly file?: string;
  open(): Bytes;
}

/** A layer of a plain tar that can be read again and again; reads it once for its digest. */
export async function layerFromTar(open: () => Bytes, signal?: AbortSignal): Promise<Layer> {
  const { digest, size } = await digestOfBytes(abortable(open(), signal));
  return layerOf(digest, size, open);
}

/** A layer whose plain tar is in memory. */
export function layerFromBytes(tar: Uint8Array): Layer {
  return layerOf(digestOf(tar), tar.length, () => bytesOf(tar));
}

/** A small layer made here: accounts, notes. */
export function layerFromEntries(entries: Iterable<{ readonly header: TarHeader; readonly body?: Uint8Array }>): Layer {
  return layerFromBytes(tarOf(entries));
}

/**
 * A layer whose plain tar lies in a file that its owner promised to be `diffId`: it is not read again, only its size is compared when it is
 * opened. `blob`: the same layer's compressed form.
 */
export function layerFromFile(
  path: string,
  known: { readonly diffId: Digest; readonly tarSize: number; readonly blob?: Blob | undefined },
): Layer {
  async function* tar(): Bytes {
    const { size } = await stat(path);
    if (size !== known.tarSize)
      throw new OciError(
        "size-mismatch",
        `${path} has ${size} bytes, not ${known.tarSize}`,
        "The cached layer is damaged: delete the file and try again.",
      );
    yield* readFileBytes(path);
  }
  return layerOf(known.diffId, known.tarSize, tar, known.blob, path);
}

/** A layer of which only the stored form is there: gzip, zstd or plain. Both forms are verified while they are read. */
export function layerFromBlob(blob: Blob, diffId: Digest): Layer {
  const what = `layer ${blob.descriptor.digest}`;
  const stored = () => verified(blob.open(), blob.descriptor, what);
  const plain = compressionOf(blob.descriptor.mediaType) === "none";
  return layerOf(
    diffId,
    plain ? blob.descriptor.size : undefined,
    () => verified(decompress(stored()), { digest: diffId }, `the tar in ${what}`),
    { ...blob, open: stored },
    plain ? blob.file : undefined,
  );
}

function layerOf(diffId: Digest, tarSize: number | undefined, tar: () => Bytes, blob?: Blob, tarFile?: string): Layer {
  return {
    diffId,
    tarSize,
    blob: blob?.descriptor,
    open(as) {
      if (as === "tar") return tar();
      if (!blob) throw new TypeError(`layer ${diffId} has no stored blob`);
      return blob.open();
    },
    file: (as) => (as === "tar" ? tarFile : blob?.file),
  };
}

export interface CompressLayerOptions {
  readonly level?: number;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the plain tar done so far. */
  readonly onBytes?: ((done: number) => void) | undefined;
}

/**
 * Writes a layer's blob to the file `into`, whole or not at all, and tells its descriptor. The layer's digest is checked on the way: rejects with
 * `digest-mismatch` when its tar is not what it should be.
 */
export async function compressLayer(
  layer: Layer,
  compression: Compression,
  into: string,
  options: CompressLayerOptions = {},
): Promise<Descriptor> {
  const { signal, onBytes, ...compressing } = options;
  const tar = verified(abortable(layer.open("tar"), signal), { digest: layer.diffId }, `layer ${layer.diffId}`);
  const sum = digester();
  const summed = async function* (bytes: Bytes): Bytes {
    for await (const chunk of bytes) {
      sum.update(chunk);
      yield chunk;
    }
  };
  await writeFileAtomically(into, summed(compress(onBytes ? counted(tar, onBytes) : tar, compression, compressing)));
  return { mediaType: layerMediaType(compression), ...sum.result() };
}

/** The blob in a file that {@link compressLayer} wrote. */
export function blobFromFile(path: string, descriptor: Descriptor): Blob {
  return { descriptor, file: path, open: () => readFileBytes(path) };
}

/** A blob in memory. */
export function blobFromBytes(content: Uint8Array, descriptor: Descriptor): Blob {
  return { descriptor, open: () => bytesOf(content) };
}

/**
 * A layer's blob in the wanted compression where that takes no compressing: the plain tar (read once for its size, if that is not known), or the stored
 * blob if it is of that kind. undefined: compress it.
 */
export async function readyBlob(
  layer: Layer,
  compression: Compression,
  signal?: AbortSignal,
): Promise<Blob | undefined> {
  const mediaType = layerMediaType(compression);
  if (compression === "none") {
    const size = layer.tarSize ?? (await digestOfBytes(abortable(layer.open("tar"), signal))).size;
    return { descriptor: { mediaType, digest: layer.diffId, size }, open: () => layer.open("tar") };
  }
  if (!layer.blob || compressionOf(layer.blob.mediaType) !== compression) return undefined;
  const { digest, size } = layer.blob;
  return { descriptor: { mediaType, digest, size }, open: () => layer.open("blob") };
}
