import type { SolveResult } from "@melange2/buildkit-client";
import type { Compression, Delivered, Descriptor, Digest, ImageSpec } from "@melange2/core";
import { compressionOf } from "@melange2/oci";
import type { ImageJobOptions } from "./image-job.ts";
import type { BaseFacts } from "./snapshot.ts";

/** A state and its spec, ready to be handed to exporters of the daemon. */
export interface ImageExport {
  /** Attributes that every exporter of images takes. */
  attributes(compression: Compression): Readonly<Record<string, string>>;
  /** Executes nothing; rejects with what the daemon says. */
  run(options: ImageJobOptions): Promise<SolveResult>;
}

export function exportAttributes(
  base: BaseFacts,
  spec: ImageSpec,
  compression: Compression,
): Readonly<Record<string, string>> {
  // Gzip is read by every loader, so what came as gzip goes as gzip, whatever was asked for.
  const fits = (mediaType: string) => ["gzip", compression].includes(compressionOf(mediaType) ?? "");
  return {
    compression: compression === "none" ? "uncompressed" : compression,
    ...(base.layers.every(fits) ? {} : { "force-compression": "true" }),
    "oci-mediatypes": "true",
    ...Object.fromEntries(Object.entries(spec.annotations).map(([key, value]) => [`annotation.${key}`, value])),
  };
}

/** What an exporter answers about the image that it made. */
export function deliveredOf(response: SolveResult["response"]): Pick<Delivered, "imageId" | "manifest"> {
  const manifest = response["containerimage.descriptor"];
  return {
    imageId: response["containerimage.config.digest"] as Digest,
    ...(manifest === undefined ? {} : { manifest: parseDescriptor(manifest) }),
  };
}

function parseDescriptor(base64: string): Descriptor {
  const { mediaType, digest, size } = JSON.parse(Buffer.from(base64, "base64").toString()) as Descriptor;
  return { mediaType, digest, size };
}
