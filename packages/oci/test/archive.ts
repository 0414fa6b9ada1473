import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { type ArchiveSpec, type WrittenArchive, writeArchive } from "../src/archive-writer.ts";
import type { Image } from "../src/image.ts";
import { type Blob, blobFromFile, compressLayer, readyBlob } from "../src/layer.ts";
import type { Compression } from "../src/media-type.ts";

/** The image's layers as blobs of one kind, compressed into a directory where needed. */
export async function blobsOf(image: Image, compression: Compression, directory: string): Promise<readonly Blob[]> {
  return Promise.all(
    image.layers.map(async (layer, index) => {
      const path = join(directory, `blob-${index}`);
      return (await readyBlob(layer, compression)) ?? blobFromFile(path, await compressLayer(layer, compression, path));
    }),
  );
}

/** Writes an archive into a file that is only ever appended to. */
export async function archiveFile(path: string, spec: ArchiveSpec): Promise<WrittenArchive> {
  const stream = createWriteStream(path);
  return writeArchive(
    {
      write: (chunk) =>
        new Promise((resolve, reject) => stream.write(chunk, (error) => (error ? reject(error) : resolve()))),
      close: () => finished(stream.end()),
    },
    spec,
  );
}
