import {
  collect,
  type Descriptor,
  type Digest,
  formatPlatform,
  type ImageConfig,
  isIndexType,
  type Layer,
  layerFromBlob,
  type Platform,
  parseImageConfig,
  parseIndex,
  parseManifest,
  platformMatches,
} from "@melange2/oci";
import { createBlobCache } from "./blob-cache.ts";
import { withSource } from "./blob-source.ts";
import { concurrently } from "./concurrently.ts";
import { RegistryError } from "./error.ts";
import type { StoredManifest } from "./manifests.ts";
import { fromOciError } from "./oci-errors.ts";
import { formatReference, parseReference, type Reference } from "./reference.ts";
import { openRepository, type Repository } from "./repository.ts";
import type { SessionOptions } from "./session.ts";

export interface PullOptions extends SessionOptions {
  readonly platform: Platform;
  /** Blobs are kept here by digest and not fetched again. Created if needed. */
  readonly cacheDirectory: string;
  /** Bytes of layers here so far, and of all layers. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface PulledImage {
  /** The same image for ever: `registry/repository@sha256:…` of the platform's manifest. */
  readonly pinned: string;
  readonly manifest: Descriptor;
  /** Digest of the config. */
  readonly imageId: Digest;
  /** What the image is for. */
  readonly platform: Platform;
  /** How a container of it starts. */
  readonly config: ImageConfig;
  /** Bottom first. Their blobs lie in the cache; both forms are verified again while they are read. */
  readonly layers: readonly Layer[];
}

/** Layers of one image under way at the same time. */
const width = 3;
const largestConfig = 16 * 1024 * 1024;

/**
 * Pulls the image for one platform: all its layers are in the cache when this resolves, each checked against its digest and size.
 * A reference without tag and digest means `latest`. Rejects with {@link RegistryError}, `unsupported` where there is none for the platform.
 */
export async function pullImage(reference: string | Reference, options: PullOptions): Promise<PulledImage> {
  const named = typeof reference === "string" ? parseReference(reference) : reference;
  using repository = openRepository(named, options);
  try {
    return await pull(repository, named, options);
  } catch (error) {
    throw fromOciError(error);
  }
}

async function pull(repository: Repository, named: Reference, options: PullOptions): Promise<PulledImage> {
  const { platform, signal } = options;
  const image = await forPlatform(repository, named, platform);
  const { registry, repository: name } = named;
  const manifest = parseManifest(image.content, `manifest ${image.descriptor.digest}`);
  const config = parseImageConfig(
    await collect(repository.readBlob(manifest.config), largestConfig, "image config"),
    `config ${manifest.config.digest}`,
  );
  if (!platformMatches(config.platform, platform)) throw wrongPlatform(named, platform, [config.platform]);
  if (config.diffIds.length !== manifest.layers.length) {
    throw new RegistryError(
      "protocol",
      `${formatReference(named)} has ${manifest.layers.length} layers but its config names ${config.diffIds.length}`,
      { hint: "The image is damaged: push it again." },
    );
  }

  const cache = createBlobCache(options.cacheDirectory);
  const total = manifest.layers.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  const advance = (bytes: number) => {
    done += bytes;
    options.onProgress?.(done, total);
  };
  const fetch = async (layer: Descriptor, diffId: Digest): Promise<Layer> => {
    signal.throwIfAborted();
    const descriptor = withSource(layer, registry, name);
    const cached = await cache.find(descriptor);
    if (cached !== undefined) advance(layer.size);
    return layerFromBlob(
      cached ?? (await cache.store(descriptor, metered(repository.readBlob(layer), advance))),
      diffId,
    );
  };
  const layers = await concurrently(manifest.layers, width, (layer, index) =>
    fetch(layer, config.diffIds[index] as Digest),
  );
  return {
    pinned: formatReference({ registry, repository: name, digest: image.descriptor.digest }),
    manifest: image.descriptor,
    imageId: manifest.config.digest,
    platform: config.platform,
    config: config.config,
    layers,
  };
}

async function forPlatform(repository: Repository, named: Reference, platform: Platform): Promise<StoredManifest> {
  const found = await repository.getManifest(named.digest ?? named.tag ?? "latest");
  if (!isIndexType(found.descriptor.mediaType)) return found;
  const offered = parseIndex(found.content, `index ${found.descriptor.digest}`).manifests;
  const chosen = offered.find((entry) => entry.platform !== undefined && platformMatches(entry.platform, platform));
  if (chosen === undefined) {
    throw wrongPlatform(
      named,
      platform,
      offered.flatMap((entry) => (entry.platform === undefined ? [] : [entry.platform])),
    );
  }
  return repository.getManifest(chosen.digest);
}

function wrongPlatform(named: Reference, wanted: Platform, offered: readonly Platform[]): RegistryError {
  const names = [...new Set(offered.filter(({ os }) => os !== "unknown").map(formatPlatform))];
  return new RegistryError(
    "unsupported",
    `${formatReference(named)} is not there for ${formatPlatform(wanted)}, only for ${names.join(", ") || "none"}`,
    { hint: "Name an image for this platform, or build for another architecture." },
  );
}

async function* metered(bytes: AsyncIterable<Uint8Array>, advance: (bytes: number) => void) {
  for await (const chunk of bytes) {
    advance(chunk.length);
    yield chunk;
  }
}
