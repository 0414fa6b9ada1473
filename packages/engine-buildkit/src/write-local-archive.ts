import { rm } from "node:fs/promises";
import type { Delivered, DeliverOptions, LocalImage, Target } from "@melange2/core";
import { type Blob, blobFromFile, compressLayer, readyBlob, writeArchive } from "@melange2/oci";
import { spoolPath } from "./spool-file.ts";

/** An image that is here as an archive, its layers compressed in files of their own first. */
export async function writeLocalArchive(
  { config, layers, annotations }: LocalImage,
  { sink, names, compression }: Extract<Target, { kind: "archive" }>,
  spoolDirectory: string,
  { signal, onProgress }: DeliverOptions,
): Promise<Delivered> {
  const files: string[] = [];
  try {
    const blobs: Blob[] = [];
    for (const layer of layers) {
      const ready = await readyBlob(layer, compression, signal);
      if (ready !== undefined) {
        blobs.push(ready);
        continue;
      }
      const path = await spoolPath(spoolDirectory);
      files.push(path);
      blobs.push(blobFromFile(path, await compressLayer(layer, compression, path, { signal })));
    }
    return await writeArchive(sink, { config, layers: blobs, annotations, names, signal, onProgress });
  } finally {
    for (const file of files) await rm(file, { force: true });
  }
}
