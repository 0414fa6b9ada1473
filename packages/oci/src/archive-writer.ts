import { abortable, type ByteSink, type Bytes, bytesOf, type StringMap } from "./bytes.ts";
import { type Descriptor, descriptorOf, type ManifestDescriptor } from "./descriptor.ts";
import { type Digest, digestOf, hexOf, verified, verifier } from "./digest.ts";
import { OciError } from "./error.ts";
import { parseImageConfig } from "./image-config.ts";
import type { Blob } from "./layer.ts";
import { buildIndex, buildManifest } from "./manifest.ts";
import { mediaTypes } from "./media-type.ts";
import { familiarReference, formatReference, parseReference, type Reference } from "./reference.ts";
import { type TarInput, tarHeader } from "./tar-entry.ts";
import { encodeEntries, encodeTarHeader, tarEnd, tarPadding } from "./tar-writer.ts";

export interface ArchiveSpec {
  /** An image config, as `buildImageConfig` makes it. */
  readonly config: Uint8Array;
  /** Bottom first; as many as the config has diff IDs. */
  readonly layers: readonly Blob[];
  /** Of the manifest. */
  readonly annotations?: StringMap;
  /** Image names, `name:tag` each (`latest` where the tag is missing); may be empty. */
  readonly names: readonly string[];
  readonly signal?: AbortSignal | undefined;
  /** Bytes written so far, and in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface WrittenArchive {
  readonly imageId: Digest;
  readonly manifest: Descriptor;
  readonly bytes: number;
}

/**
 * Writes one tar that is an OCI archive and a docker archive at once, over the same blobs: every `docker load` since 20.10, podman, skopeo and
 * containerd take it (zstd layers: not Docker 20.10). One pass, nothing seeks; the index comes first, a blob that several layers share only once. The same spec gives the same
 * bytes. Closes the sink when all is written, and only then. Layer blobs are verified on their way: rejects with `digest-mismatch` or
 * `size-mismatch`; with `invalid` for a name that is none or a config of another number of layers. A sink that takes files gets blobs as files.
 */
export async function writeArchive(sink: ByteSink, spec: ArchiveSpec): Promise<WrittenArchive> {
  const archive = describe(spec);
  let written = 0;
  const count = (chunk: Uint8Array): void => {
    written += chunk.length;
    spec.onProgress?.(Math.min(written, archive.total), archive.total);
  };
  const write = async (chunk: Uint8Array): Promise<void> => {
    await sink.write(chunk);
    count(chunk);
  };
  const appendFile = sink.appendFile?.bind(sink);
  for (const { blob, ...entry } of archive.entries) {
    if (appendFile && blob?.file !== undefined) {
      const check = verifier(blob.descriptor, `blob ${blob.descriptor.digest}`);
      await write(encodeTarHeader(entry.header));
      await appendFile(blob.file, (piece) => {
        spec.signal?.throwIfAborted();
        check.update(piece);
        count(piece);
      });
      check.end();
      await write(tarPadding(entry.header.size));
    } else for await (const chunk of abortable(encodeEntries([entry]), spec.signal)) await write(chunk);
  }
  await write(tarEnd);
  await sink.close();
  return { imageId: archive.imageId, manifest: archive.manifest, bytes: written };
}

/** `blob`: what the body comes from, if it does. */
interface ArchiveEntry extends TarInput {
  readonly blob?: Blob;
}

/** The file `oci-layout`. */
export const layoutMarker = new TextEncoder().encode('{"imageLayoutVersion":"1.0.0"}');

/** The entries of an index for one image under some names: one for each name, one without a name if there are none. */
export function namedManifests(
  manifest: ManifestDescriptor,
  names: readonly Reference[],
): readonly ManifestDescriptor[] {
  if (names.length === 0) return [manifest];
  return names.map((name) => ({
    ...manifest,
    annotations: {
      ...manifest.annotations,
      // containerd wants the whole name; the layout's own annotation is the tag alone.
      "io.containerd.image.name": formatReference(name),
      "org.opencontainers.image.ref.name": name.tag ?? "latest",
    },
  }));
}

function describe(spec: ArchiveSpec) {
  const file = parseImageConfig(spec.config);
  if (file.diffIds.length !== spec.layers.length)
    throw new OciError(
      "invalid",
      `the image config names ${file.diffIds.length} layers, ${spec.layers.length} were given`,
      "Build the config from the same layers.",
    );
  const names = spec.names.map((name) => taggedReference(name));
  const imageId = digestOf(spec.config);
  const { content, descriptor } = buildManifest({
    config: spec.config,
    layers: spec.layers.map((layer) => layer.descriptor),
    ...(spec.annotations ? { annotations: spec.annotations } : {}),
  });
  const docker = [
    {
      Config: blobPath(imageId),
      RepoTags: names.length > 0 ? names.map(familiarReference) : null,
      Layers: spec.layers.map((layer) => blobPath(layer.descriptor.digest)),
    },
  ];
  const blobs = new Map<Digest, Blob>();
  for (const blob of [
    { descriptor, open: () => bytesOf(content) },
    { descriptor: descriptorOf(spec.config, mediaTypes.config), open: () => bytesOf(spec.config) },
    ...spec.layers,
  ])
    blobs.set(blob.descriptor.digest, blob);
  const files = [
    memoryFile("oci-layout", layoutMarker),
    memoryFile("index.json", buildIndex(namedManifests({ ...descriptor, platform: file.platform }, names))),
    memoryFile("manifest.json", new TextEncoder().encode(JSON.stringify(docker))),
  ];
  const directories = ["blobs", "blobs/sha256"].map((name) => ({ header: tarHeader({ name, type: "directory" }) }));
  const entries: readonly ArchiveEntry[] = [...files, ...directories, ...[...blobs.values()].map(blobEntry)];
  return { entries, imageId, manifest: descriptor, total: tarSize(entries) };
}

function taggedReference(name: string): Reference {
  const reference = parseReference(name);
  if (reference.digest)
    throw new OciError("invalid", `an image cannot be named by a digest: ${name}`, "Use a form like debug:latest.");
  return { ...reference, tag: reference.tag ?? "latest" };
}

function blobPath(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

function memoryFile(name: string, body: Uint8Array): TarInput {
  return { header: tarHeader({ name, type: "file", size: body.length }), body };
}

function blobEntry(blob: Blob): ArchiveEntry {
  const { digest, size } = blob.descriptor;
  async function* body(): Bytes {
    yield* verified(blob.open(), blob.descriptor, `blob ${digest}`);
  }
  return {
    blob,
    header: tarHeader({ name: blobPath(digest), type: "file", size }),
    body: { [Symbol.asyncIterator]: () => body()[Symbol.asyncIterator]() },
  };
}

/** A header block and whole body blocks for each entry, and the two at the end; a body over 8 GiB has an extended header of two blocks more. */
function tarSize(entries: readonly TarInput[]): number {
  return entries.reduce(
    (sum, { header }) => sum + 512 + Math.ceil(header.size / 512) * 512 + (header.size >= 8 ** 11 ? 1024 : 0),
    1024,
  );
}
