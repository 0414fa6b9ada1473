import { closeSync, constants, openSync, readSync } from "node:fs";
import {
  type Bytes,
  collect,
  decompress,
  detectCompression,
  openImage,
  parseImageConfig,
  readFileBytes,
  readTar,
  type TarHeader,
} from "@melange2/oci";

/** Every debug image has this label: see `debug-image.ts` in core. */
const ownLabel = "melange2.build";

/** Bytes. An archive with a config, a manifest and an index is never smaller. */
const smallestArchive = 2048;

/** Whether a file of this size is an archive of a debug image: an OCI or docker archive, plain or compressed. Reads little, and never rejects. */
export async function isExportedArchive(path: string, size: number): Promise<boolean> {
  if (size < smallestArchive) return false;
  try {
    const head = headOf(path);
    if (namesImageFile(head)) return hasOwnLabel((await openImage(path)).file.config);
    const compression = detectCompression(head);
    return (compression === "gzip" || compression === "zstd") && (await startsAsExported(path));
  } catch {
    // Whatever it is, it is none that melange2 wrote.
    return false;
  }
}

/** Whether a folder is an OCI layout that holds a debug image. Never rejects. */
export async function isExportedLayout(path: string): Promise<boolean> {
  try {
    return hasOwnLabel((await openImage(path)).file.config);
  } catch {
    return false;
  }
}

function hasOwnLabel({ Labels }: { readonly Labels?: Readonly<Record<string, string>> }): boolean {
  return Labels?.[ownLabel] !== undefined;
}

function headOf(path: string): Buffer {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const head = Buffer.alloc(512);
    return head.subarray(0, readSync(file, head, 0, head.length, 0));
  } finally {
    closeSync(file);
  }
}

/** The names of an image store's files, of which an archive has one first: the index where melange2 writes it, a blob where a daemon does. */
const imageFile = /^(?:\.\/)?(?:oci-layout|index\.json|manifest\.json|repositories|blobs\/|[0-9a-f]{64}(?:\/|\.json))/;

/** Whether a block is a tar's header of such a file. */
function namesImageFile(block: Buffer): boolean {
  return block.toString("latin1", 257, 262) === "ustar" && imageFile.test(block.toString("latin1", 0, 100));
}

/** Of a compressed archive nothing can be found without reading what comes before it. Bytes, when unpacked. */
const searched = 16 << 20;
const largestConfig = 1 << 20;

async function startsAsExported(path: string): Promise<boolean> {
  for await (const { header, body } of readTar(beginning(decompress(readFileBytes(path))))) {
    if (!isImageEntry(header)) return false;
    if (header.type === "file" && header.size <= largestConfig && isOwnConfig(await collect(body, largestConfig, "")))
      return true;
  }
  return false;
}

function isImageEntry({ name, type }: TarHeader): boolean {
  return imageFile.test(type === "directory" ? `${name.replace(/\/$/, "")}/` : name);
}

function isOwnConfig(content: Uint8Array): boolean {
  // A layer, most often.
  if (content[0] !== 0x7b) return false;
  try {
    return hasOwnLabel(parseImageConfig(content).config);
  } catch {
    return false;
  }
}

async function* beginning(bytes: Bytes): Bytes {
  let size = 0;
  for await (const chunk of bytes) {
    yield chunk;
    size += chunk.length;
    if (size > searched) return;
  }
}
