import type { Bytes, Descriptor, Digest, ImageConfig } from "@melange2/core";
import {
  bytesOf,
  collect,
  decompress,
  digestOf,
  digestOfBytes,
  entryPath,
  parseImageConfig,
  parseManifest,
  readTar,
} from "@melange2/oci";

/** An image as it arrived somewhere, as far as destinations can tell. */
export interface ArrivedImage {
  /** Bottom layer first. */
  readonly diffIds: readonly Digest[];
  readonly config: ImageConfig;
}

export interface ArchivedImage extends ArrivedImage {
  readonly imageId: Digest;
  readonly manifest: Descriptor | undefined;
  readonly names: readonly string[];
}

const largestEntry = 1 << 30;

/**
 * Reads an archive that docker load takes, into memory, and checks it: every layer is the one that the image config names, every blob
 * what its name says. Rejects when it is not so.
 */
export async function readImageArchive(archive: Bytes): Promise<ArchivedImage> {
  const files = new Map<string, Uint8Array>();
  for await (const { header, body } of readTar(archive)) {
    if (header.type !== "file") continue;
    const path = entryPath(header.name);
    const content = await collect(body, largestEntry, path);
    if (path.startsWith("blobs/sha256/") && digestOf(content) !== `sha256:${path.slice("blobs/sha256/".length)}`) {
      throw new Error(`the archive's ${path} holds something else`);
    }
    files.set(path, content);
  }
  const file = (path: string): Uint8Array => {
    const content = files.get(path);
    if (!content) throw new Error(`the archive lacks ${path}`);
    return content;
  };
  const [listed, ...others] = JSON.parse(Buffer.from(file("manifest.json")).toString()) as readonly {
    readonly Config: string;
    readonly RepoTags: readonly string[] | null;
    readonly Layers: readonly string[];
  }[];
  if (!listed || others.length > 0) throw new Error("the archive does not hold exactly one image");
  const config = parseImageConfig(file(listed.Config));
  const diffIds: Digest[] = [];
  for (const layer of listed.Layers) diffIds.push((await digestOfBytes(decompress(bytesOf(file(layer))))).digest);
  if (JSON.stringify(diffIds) !== JSON.stringify(config.diffIds)) {
    throw new Error(`the archive's layers are ${diffIds}, its config names ${config.diffIds}`);
  }
  return {
    imageId: digestOf(file(listed.Config)),
    manifest: ociManifest(files),
    names: listed.RepoTags ?? [],
    diffIds,
    config: config.config,
  };
}

function ociManifest(files: ReadonlyMap<string, Uint8Array>): Descriptor | undefined {
  const index = files.get("index.json");
  if (!index) return undefined;
  const [manifest] = (JSON.parse(Buffer.from(index).toString()) as { readonly manifests: readonly Descriptor[] })
    .manifests;
  const content = manifest && files.get(manifest.digest.replace(":", "/").replace(/^/, "blobs/"));
  if (!manifest || !content) throw new Error("the archive's index names no manifest of the archive");
  parseManifest(content);
  const { mediaType, digest, size } = manifest;
  return { mediaType, digest, size };
}
