import type { BlobStore } from "@melange2/buildkit-client";
import type { Environment } from "@melange2/core";
import { ociLayout } from "@melange2/llb";
import {
  type Blob,
  blobFromBytes,
  compressionOf,
  descriptorOf,
  layerMediaType,
  mediaTypes,
  readyBlob,
} from "@melange2/oci";
import { type BaseImage, baseImage } from "./base-image.ts";
import { sequentialStore } from "./sequential-store.ts";
import type { BaseFacts } from "./snapshot.ts";

/** The name of the content store in all graphs: a part of every digest. */
const storeName = "melange2";

/** Bases for a buildkitd: an OCI layout that the session serves, of which the daemon asks for what it lacks. */
export function layoutBases() {
  const blobs = new Map<string, Blob>();
  return {
    stores: { [storeName]: sequentialStore(blobs) } satisfies Record<string, BlobStore>,
    async add(environment: Environment, signal: AbortSignal): Promise<BaseFacts> {
      const image = await baseImage(environment, (layer) => storedBlob(layer, signal));
      for (const blob of blobsOf(image)) blobs.set(blob.descriptor.digest, blob);
      const name = `melange2.invalid/base@${image.manifest.descriptor.digest}`;
      return {
        name,
        state: ociLayout(name, {
          store: storeName,
          platform: environment.platform,
          name: "melange2 base",
        }),
        layers: image.layers.map(({ descriptor }) => descriptor.mediaType),
      };
    },
  };
}

/** As it is stored, so that nothing is compressed for a daemon next door; the plain tar where it is stored in no form of OCI's. */
async function storedBlob(layer: Environment["layers"][number], signal: AbortSignal): Promise<Blob> {
  const compression = layer.blob === undefined ? undefined : compressionOf(layer.blob.mediaType);
  const ready = await readyBlob(layer, compression ?? "none", signal);
  if (ready === undefined) throw new TypeError(`layer ${layer.diffId} has no blob of ${layerMediaType("none")}`);
  return ready;
}

function blobsOf({ config, manifest, layers }: BaseImage): readonly Blob[] {
  return [
    ...layers,
    blobFromBytes(config, descriptorOf(config, mediaTypes.config)),
    blobFromBytes(manifest.content, manifest.descriptor),
  ];
}
