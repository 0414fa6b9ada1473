import { randomBytes } from "node:crypto";
import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ByteSink, ImageSpec, LocalImage } from "@melange2/core";
import { openImage } from "@melange2/oci";
import { translated } from "./foreign-errors.ts";

/** An image whose archive `write` makes, as bytes here: a file that is gone when it is disposed of. */
export async function spoolImage(
  directory: string,
  { annotations }: ImageSpec,
  write: (sink: ByteSink) => Promise<unknown>,
): Promise<LocalImage> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, `${randomBytes(8).toString("hex")}.tar`);
  const remove = () => rm(path, { force: true });
  try {
    const file = await open(path, "wx", 0o600);
    try {
      await write({ write: async (chunk) => void (await file.writeFile(chunk)), close: async () => {} });
    } finally {
      await file.close();
    }
    const { imageId, config, layers } = await openImage(path);
    return { imageId, config, layers, annotations, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw translated(error, "taking the image from the daemon");
  }
}
