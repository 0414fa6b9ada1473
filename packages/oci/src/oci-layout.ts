import { collect } from "./bytes.ts";
import { type Candidate, chooseImage, type ImageChoice } from "./choose-image.ts";
import type { Descriptor, ManifestDescriptor } from "./descriptor.ts";
import { hexOf, verified } from "./digest.ts";
import { OciError } from "./error.ts";
import type { Image } from "./image.ts";
import { parseImageConfig } from "./image-config.ts";
import { type ImageFiles, metadataLimit, readWhole, type StoredFile } from "./image-files.ts";
import { type Blob, layerFromBlob } from "./layer.ts";
import { parseIndex, parseManifest } from "./manifest.ts";
import { isIndexType, isManifestType } from "./media-type.ts";

/** An image of an OCI layout, in a directory or a tar. */
export async function readLayout(files: ImageFiles, choice: ImageChoice): Promise<Image> {
  const index = parseIndex(await readWhole(files, "index.json"), `index.json of ${files.where}`);
  return chooseImage(await candidatesOf(files, index.manifests, [], 0), choice, files.where);
}

/** The images below an index, those of nested indexes too. */
async function candidatesOf(
  files: ImageFiles,
  manifests: readonly ManifestDescriptor[],
  inherited: readonly string[],
  depth: number,
): Promise<readonly Candidate[]> {
  const candidates: Candidate[] = [];
  for (const descriptor of manifests) {
    const names = [...inherited, ...namesOf(descriptor)];
    if (isIndexType(descriptor.mediaType)) {
      if (depth > 8)
        throw new OciError("invalid", `the indexes of ${files.where} are nested too deep`, "The image is damaged.");
      const nested = parseIndex(await readBlob(files, descriptor), `index ${descriptor.digest}`);
      candidates.push(...(await candidatesOf(files, nested.manifests, names, depth + 1)));
    } else if (isManifestType(descriptor.mediaType) && !isAttestation(descriptor))
      candidates.push({ names, platform: descriptor.platform, read: () => readManifest(files, descriptor) });
  }
  return candidates;
}

async function readManifest(files: ImageFiles, descriptor: Descriptor): Promise<Image> {
  const content = await readBlob(files, descriptor);
  const manifest = parseManifest(content, `manifest ${descriptor.digest}`);
  const config = await readBlob(files, manifest.config);
  const file = parseImageConfig(config, `image config ${manifest.config.digest}`);
  if (file.diffIds.length !== manifest.layers.length)
    throw new OciError(
      "invalid",
      `manifest ${descriptor.digest} has ${manifest.layers.length} layers, its config ${file.diffIds.length}`,
      "The image is damaged.",
    );
  const layers = await Promise.all(
    file.diffIds.map(async (diffId, index) =>
      layerFromBlob(await blobOf(files, manifest.layers[index] as Descriptor), diffId),
    ),
  );
  const { mediaType, digest, size } = descriptor;
  return {
    imageId: manifest.config.digest,
    config,
    file,
    layers,
    manifest: { descriptor: { mediaType, digest, size }, content },
    annotations: manifest.annotations,
  };
}

async function readBlob(files: ImageFiles, descriptor: Descriptor): Promise<Uint8Array> {
  const blob = await blobOf(files, descriptor);
  return collect(
    verified(blob.open(), descriptor, `blob ${descriptor.digest}`),
    metadataLimit,
    `blob ${descriptor.digest}`,
  );
}

async function blobOf(files: ImageFiles, descriptor: Descriptor): Promise<Blob> {
  const file: StoredFile | undefined = await files.find(`blobs/sha256/${hexOf(descriptor.digest)}`);
  if (!file)
    throw new OciError(
      "not-found",
      `${files.where} lacks the blob ${descriptor.digest}`,
      "Copy the image again, with all of its blobs.",
    );
  return { descriptor, open: file.open };
}

/** The names that tools give the entries of an index. */
function namesOf(descriptor: Descriptor): readonly string[] {
  const { "io.containerd.image.name": full, "org.opencontainers.image.ref.name": tag } = descriptor.annotations ?? {};
  return [full, tag].filter((name) => name !== undefined);
}

function isAttestation(descriptor: ManifestDescriptor): boolean {
  return (
    descriptor.platform?.architecture === "unknown" ||
    descriptor.annotations?.["vnd.docker.reference.type"] !== undefined
  );
}
