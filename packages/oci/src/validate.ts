import type { Bytes } from "./bytes.ts";
import { type Digest, digester, digestOf } from "./digest.ts";
import { isOciError } from "./error.ts";
import { emptyNode, findNode, putNode, removeNode, type TreeNode, treeRoot } from "./file-tree.ts";
import { type ImageFile, parseImageConfig } from "./image-config.ts";
import type { Layer } from "./layer.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { type ByteString, textOf } from "./tar-entry.ts";
import { entryPath } from "./tar-path.ts";
import { readTar } from "./tar-reader.ts";
import { whiteoutOf } from "./whiteout.ts";

/** One thing that is wrong with an image. */
export interface Violation {
  /** `config`, `manifest`, `layer 0`: the bottom layer is 0. */
  readonly where: string;
  readonly message: string;
}

/** What can be checked: an `Image`, or config and layers from anywhere else. */
export interface CheckedImage {
  readonly imageId?: Digest;
  readonly config: Uint8Array;
  readonly layers: readonly Layer[];
  readonly manifest?: {
    readonly descriptor?: { readonly digest: Digest; readonly size: number };
    readonly content: Uint8Array;
  };
}

/**
 * Every violation of an image, none if it is valid: digests and sizes of config, manifest and blobs, diff IDs against the layers' tars,
 * one history entry for each layer, well-formed tars with safe, unique names, hard links that lead somewhere, proper whiteouts.
 * Reads every layer whole. Rejects only on an aborted signal and on errors of reading that are no property of the image.
 */
export async function validateImage(image: CheckedImage, signal?: AbortSignal): Promise<readonly Violation[]> {
  const violations: Violation[] = [];
  const report = (where: string, message: string): void => void violations.push({ where, message });
  const imageId = digestOf(image.config);
  if (image.imageId !== undefined && image.imageId !== imageId)
    report("config", `it is ${imageId}, not ${image.imageId}`);
  const file = attempt(() => parseImageConfig(image.config), "config", report);
  if (file) checkConfig(file, image.layers, report);
  if (image.manifest) checkManifest(image.manifest, image, imageId, report);
  const root = treeRoot<undefined>();
  for (const [index, layer] of image.layers.entries()) {
    signal?.throwIfAborted();
    await checkLayer(layer, `layer ${index}`, root, report, signal);
  }
  return violations;
}

type Report = (where: string, message: string) => void;

function checkConfig(file: ImageFile, layers: readonly Layer[], report: Report): void {
  if (file.diffIds.length !== layers.length)
    report("config", `it has ${file.diffIds.length} diff IDs for ${layers.length} layers`);
  for (const [index, layer] of layers.entries())
    if (file.diffIds[index] !== undefined && file.diffIds[index] !== layer.diffId)
      report("config", `diff ID ${index} is ${file.diffIds[index]}, the layer's ${layer.diffId}`);
  const made = file.history.filter((entry) => !entry.empty_layer).length;
  if (file.history.length > 0 && made !== file.diffIds.length)
    report("config", `its history speaks of ${made} layers, there are ${file.diffIds.length}`);
  if (!file.platform.os || !file.platform.architecture) report("config", "it names no platform");
  if (file.created !== undefined && Number.isNaN(Date.parse(file.created)))
    report("config", `created is no time: ${file.created}`);
}

function checkManifest(
  manifest: NonNullable<CheckedImage["manifest"]>,
  image: CheckedImage,
  imageId: Digest,
  report: Report,
): void {
  const { content, descriptor } = manifest;
  if (descriptor && (descriptor.digest !== digestOf(content) || descriptor.size !== content.length))
    report(
      "manifest",
      `it is ${digestOf(content)} of ${content.length} bytes, not ${descriptor.digest} of ${descriptor.size}`,
    );
  const parsed: Manifest | undefined = attempt(() => parseManifest(content), "manifest", report);
  if (!parsed) return;
  if (parsed.config.digest !== imageId || parsed.config.size !== image.config.length)
    report(
      "manifest",
      `its config is ${parsed.config.digest} of ${parsed.config.size} bytes, not ${imageId} of ${image.config.length}`,
    );
  if (parsed.layers.length !== image.layers.length)
    report("manifest", `it has ${parsed.layers.length} layers, not ${image.layers.length}`);
  for (const [index, { blob }] of image.layers.entries()) {
    const said = parsed.layers[index];
    if (said && blob && (said.digest !== blob.digest || said.size !== blob.size))
      report("manifest", `layer ${index} is ${said.digest} of ${said.size} bytes, not ${blob.digest} of ${blob.size}`);
  }
}

async function checkLayer(
  layer: Layer,
  where: string,
  root: TreeNode<undefined>,
  report: Report,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (layer.blob) {
    const { digest, size } = layer.blob;
    const found = await attemptAsync(() => sumOf(layer.open("blob"), signal), where, report);
    if (found && (found.digest !== digest || found.size !== size))
      report(where, `its blob is ${found.digest} of ${found.size} bytes, not ${digest} of ${size}`);
  }
  const sum = digester();
  async function* tar(): Bytes {
    for await (const chunk of layer.open("tar")) {
      signal?.throwIfAborted();
      sum.update(chunk);
      yield chunk;
    }
  }
  const whole = await attemptAsync(
    async () => {
      await checkTar(tar(), where, root, report);
      return true;
    },
    where,
    report,
  );
  if (!whole) return;
  const found = sum.result();
  if (found.digest !== layer.diffId) report(where, `its tar is ${found.digest}, not ${layer.diffId}`);
  if (layer.tarSize !== undefined && layer.tarSize !== found.size)
    report(where, `its tar has ${found.size} bytes, not ${layer.tarSize}`);
}

async function checkTar(tar: Bytes, where: string, root: TreeNode<undefined>, report: Report): Promise<void> {
  const own = new Set<ByteString>();
  const hidden: ByteString[] = [];
  const added: { readonly path: ByteString; readonly header: Parameters<typeof putNode>[2]["header"] }[] = [];
  for await (const { header } of readTar(tar)) {
    const path = attempt(() => entryPath(header.name), where, report);
    if (path === undefined) continue;
    const whiteout = whiteoutOf(path);
    if (whiteout) {
      if (header.type !== "file" || header.size > 0) report(where, `the whiteout ${textOf(path)} is no empty file`);
      if (/(^|\/)\.{0,2}$/.test(whiteout.path) && whiteout.kind === "hide")
        report(where, `the whiteout ${textOf(path)} names nothing`);
      else if (whiteout.kind === "hide") {
        hidden.push(whiteout.path);
        removeNode(root, whiteout.path);
      } else emptyNode(root, whiteout.path);
      continue;
    }
    if (own.has(path)) report(where, `${textOf(path) || "/"} is in it twice`);
    own.add(path);
    added.push({ path, header });
  }
  for (const path of hidden) if (own.has(path)) report(where, `${textOf(path)} is both added and hidden`);
  for (const { path, header } of added) {
    if (header.type === "hardlink") {
      const target = attempt(() => entryPath(header.linkname), where, report);
      const found = target === undefined ? undefined : findNode(root, target);
      if (target !== undefined && found?.item?.header.type !== "file")
        report(where, `${textOf(path)} is a hard link to ${textOf(header.linkname)}, which is no file`);
      putNode(root, path, found?.item ?? { header: { ...header, type: "file" }, file: undefined });
    } else putNode(root, path, { header, file: undefined });
  }
}

async function sumOf(bytes: Bytes, signal: AbortSignal | undefined) {
  const sum = digester();
  for await (const chunk of bytes) {
    signal?.throwIfAborted();
    sum.update(chunk);
  }
  return sum.result();
}

function attempt<T>(read: () => T, where: string, report: Report): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!isOciError(error)) throw error;
    report(where, error.message);
    return undefined;
  }
}

async function attemptAsync<T>(read: () => Promise<T>, where: string, report: Report): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!isOciError(error)) throw error;
    report(where, error.message);
    return undefined;
  }
}
