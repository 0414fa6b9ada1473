import { createReadStream } from "node:fs";
import { copyFile, mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Platform } from "@melange2/core";
import {
  buildImageConfig,
  buildIndex,
  buildManifest,
  type Digest,
  digestOf,
  digestOfBytes,
  hexOf,
} from "@melange2/oci";

/** A base as each side likes it best. */
export interface Base {
  /** A root filesystem's tar, uncompressed. */
  readonly tar: string;
  /** An OCI layout with the same tar as its one layer, uncompressed too. */
  readonly layout: string;
  /** Of its manifest. */
  readonly digest: Digest;
  readonly bytes: number;
  /** Of the tar. */
  readonly diffId: Digest;
  readonly platform: Platform;
}

/** Makes the layout of a tar in a new folder. */
export async function baseOf(tar: string, layout: string): Promise<Base> {
  const layer = await digestOfBytes(createReadStream(tar, { highWaterMark: 1 << 20 }));
  const blobs = join(layout, "blobs/sha256");
  await mkdir(blobs, { recursive: true });
  await copyFile(tar, join(blobs, hexOf(layer.digest)));
  const platform = { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" };
  const { content: config } = buildImageConfig({
    platform,
    config: {},
    labels: {},
    created: new Date(0).toISOString(),
    diffIds: [layer.digest],
    history: ["base"],
  });
  const { content, descriptor } = buildManifest({
    config,
    layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", ...layer }],
  });
  await writeFile(join(blobs, hexOf(digestOf(config))), config);
  await writeFile(join(blobs, hexOf(descriptor.digest)), content);
  await writeFile(join(layout, "index.json"), buildIndex([{ ...descriptor, platform }]));
  await writeFile(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  return { tar, layout, digest: descriptor.digest, bytes: (await stat(tar)).size, diffId: layer.digest, platform };
}
