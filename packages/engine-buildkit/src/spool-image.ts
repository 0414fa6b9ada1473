import type { Bytes, ImageSpec, LocalImage } from "@melange2/core";
import { openImage } from "@melange2/oci";
import { spoolFile } from "./spool-file.ts";

/** An archive of an image as bytes here: a file that is gone when the image is disposed of. */
export async function spoolImage(directory: string, { annotations }: ImageSpec, archive: Bytes): Promise<LocalImage> {
  const file = await spoolFile(directory, archive);
  try {
    const { imageId, config, layers } = await openImage(file.path);
    return { imageId, config, layers, annotations, [Symbol.asyncDispose]: file.remove };
  } catch (error) {
    await file.remove();
    throw error;
  }
}
