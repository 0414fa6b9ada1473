import type { Descriptor, Digest, Environment, Layer } from "@melange2/core";
import { type Blob, buildImageConfig, buildManifest } from "@melange2/oci";

/** An environment as an image that a daemon can take; the same environment is the same image. */
export interface BaseImage {
  readonly imageId: Digest;
  readonly config: Uint8Array;
  readonly manifest: { readonly content: Uint8Array; readonly descriptor: Descriptor };
  /** Bottom first. */
  readonly layers: readonly Blob[];
}

export async function baseImage(
  { platform, layers }: Environment,
  blobOf: (layer: Layer) => Promise<Blob>,
): Promise<BaseImage> {
  const blobs = await Promise.all(layers.map(blobOf));
  // Nothing of the environment's own config: what steps see is said with every step.
  const { content: config, imageId } = buildImageConfig({
    platform,
    config: {},
    created: "1970-01-01T00:00:00Z",
    diffIds: layers.map(({ diffId }) => diffId),
    history: baseHistory(layers.length),
  });
  return {
    imageId,
    config,
    manifest: buildManifest({ config, layers: blobs.map(({ descriptor }) => descriptor) }),
    layers: blobs,
  };
}

/** What images say of the layers of their base, bottom first. */
export function baseHistory(layers: number): readonly string[] {
  return Array.from({ length: layers }, (_, index) => `base layer ${index + 1} of ${layers}`);
}
