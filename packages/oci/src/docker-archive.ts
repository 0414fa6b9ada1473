import { type Candidate, chooseImage, type ImageChoice } from "./choose-image.ts";
import { decompress } from "./compression.ts";
import { type Digest, digestOf, verified } from "./digest.ts";
import { OciError } from "./error.ts";
import type { Image } from "./image.ts";
import { parseImageConfig } from "./image-config.ts";
import { type ImageFiles, readWhole } from "./image-files.ts";
import { list, object, optional, parseJson, string, stringList } from "./json-shape.ts";
import type { Layer } from "./layer.ts";

/** An image of what `docker save` writes, up to 24 (`HEX/layer.tar`) and since 25 (`blobs/sha256/HEX`). */
export async function readDockerArchive(files: ImageFiles, choice: ImageChoice): Promise<Image> {
  return chooseImage(await candidatesOf(files), choice, files.where);
}

async function candidatesOf(files: ImageFiles): Promise<readonly Candidate[]> {
  const what = `manifest.json of ${files.where}`;
  // A list at the top: wrapped, so that one reader serves for all metadata.
  const { images } = parseJson(wrap(await readWhole(files, "manifest.json")), what);
  return list(images, what).map((entry, index) => {
    const where = `${what}[${index}]`;
    const json = object(entry, where);
    const config = string(json.Config, `${where}.Config`);
    const layers = stringList(json.Layers ?? [], `${where}.Layers`);
    const { RepoTags = [] } = optional(json, "RepoTags", stringList, where);
    return { names: RepoTags, platform: undefined, read: () => readImage(files, config, layers) };
  });
}

async function readImage(files: ImageFiles, configName: string, names: readonly string[]): Promise<Image> {
  const config = await readWhole(files, configName);
  const imageId = digestOf(config);
  const promised = /([0-9a-f]{64})(?:\.json)?$/.exec(configName)?.[1];
  if (promised !== undefined && imageId !== `sha256:${promised}`)
    throw new OciError(
      "digest-mismatch",
      `${configName} in ${files.where} should be sha256:${promised} but is ${imageId}`,
      "The archive is damaged: save the image again.",
    );
  const file = parseImageConfig(config, `${configName} of ${files.where}`);
  if (file.diffIds.length !== names.length)
    throw new OciError(
      "invalid",
      `manifest.json of ${files.where} has ${names.length} layers, the config ${file.diffIds.length}`,
      "The archive is damaged: save the image again.",
    );
  const layers = await Promise.all(file.diffIds.map((diffId, index) => layerAt(files, names[index] as string, diffId)));
  return { imageId, config, file, layers, annotations: {} };
}

async function layerAt(files: ImageFiles, name: string, diffId: Digest): Promise<Layer> {
  const file = await files.find(name);
  if (!file)
    throw new OciError(
      "not-found",
      `${files.where} lacks the layer ${name}`,
      "The archive is damaged: save the image again.",
    );
  return {
    diffId,
    open(as) {
      if (as === "blob") throw new TypeError(`layer ${diffId} has no stored blob`);
      return verified(decompress(file.open()), { digest: diffId }, `layer ${name}`);
    },
  };
}

function wrap(json: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from('{"images":'), json, Buffer.from("}")]);
}
