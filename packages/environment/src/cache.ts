import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { MelangeError } from "@melange2/core";
import {
  type Blob,
  type Bytes,
  blobFromFile,
  bytesOf,
  compressionOf,
  counted,
  type Descriptor,
  type Digest,
  digester,
  hexOf,
  isOciError,
  type Layer,
  layerFromBlob,
  layerFromFile,
  parseDescriptor,
  writeFileAtomically,
} from "@melange2/oci";
import { removeAbandoned } from "./abandoned-files.ts";
import { defaultCacheBudget, keepToBudget, noteUse, noteUser } from "./cache-budget.ts";

/**
 * Imported layers and what is known of them, content-addressed, shared by all builds:
 * `layers/HEX.tar` plain tars by diff ID, `layers/HEX.json` their sizes and stored forms, `blobs/HEX` stored forms,
 * `notes/HEX.json` anything derived. Files appear whole, by a rename; nothing in use is ever changed. The whole directory may be deleted between builds.
 * What no living process has used goes when there is too much, the longest unused first: `users/PID` says who lives.
 */
export interface LayerCache {
  find(diffId: Digest): Promise<Layer | undefined>;
  /** Keeps a plain tar; its digest is found on the way. */
  keepTar(tar: Bytes): Promise<Layer>;
  /** Keeps a layer from elsewhere and its compressed form, verified; gives what is there already at once. `onBytes`: bytes read so far. */
  keep(layer: Layer, onBytes?: (done: number) => void): Promise<Layer>;
  /** Derived facts under a key of 64 hex digits; `read` throws on what it does not understand, which counts as absent. */
  note<T>(key: string, read: (json: unknown) => T): Promise<T | undefined>;
  writeNote(key: string, value: unknown): Promise<void>;
  /** A path for something that is needed for a while only; the caller removes it. */
  temporary(): string;
}

export async function openCache(directory: string, budget = defaultCacheBudget): Promise<LayerCache> {
  for (const part of ["layers", "blobs", "notes", "tmp", "users"])
    await mkdir(join(directory, part), { recursive: true, mode: 0o700 }).catch((cause: NodeJS.ErrnoException) => {
      throw new MelangeError("environment", `the cache directory ${directory} cannot be used: ${cause.code}`, {
        hint: "Make it writable, or name another one.",
        cause,
      });
    });
  for (const part of ["layers", "blobs", "notes"]) await removeAbandoned(join(directory, part), ".tmp");
  await removeAbandoned(join(directory, "tmp"), "");
  await noteUser(directory);
  const tarPath = (diffId: Digest) => join(directory, "layers", `${hexOf(diffId)}.tar`);
  const aboutPath = (diffId: Digest) => join(directory, "layers", `${hexOf(diffId)}.json`);
  const blobPath = (digest: Digest) => join(directory, "blobs", hexOf(digest));
  const notePath = (key: string) => join(directory, "notes", `${key}.json`);
  const temporary = () => join(directory, "tmp", randomBytes(8).toString("hex"));

  const filesOf = (diffId: Digest, blob: Descriptor | undefined) => [
    tarPath(diffId),
    aboutPath(diffId),
    ...(blob ? [blobPath(blob.digest)] : []),
  ];

  async function record(diffId: Digest, tarSize: number, blob: Descriptor | undefined): Promise<Layer> {
    await writeJson(aboutPath(diffId), { tarSize, blob });
    await noteUse(...filesOf(diffId, blob));
    keepToBudget(directory, ["layers", "blobs", "notes"], budget);
    return layerFromFile(tarPath(diffId), { diffId, tarSize, blob: blob && blobFromFile(blobPath(blob.digest), blob) });
  }

  async function find(diffId: Digest): Promise<Layer | undefined> {
    // First, since another process may be about to remove what was not used for long.
    await noteUse(tarPath(diffId), aboutPath(diffId));
    const about = await readJson(aboutPath(diffId), readAbout);
    if (!about || (await sizeOf(tarPath(diffId))) !== about.tarSize) return undefined;
    const { tarSize, blob } = about;
    if (blob) await noteUse(blobPath(blob.digest));
    const stored: Blob | undefined =
      blob && (await sizeOf(blobPath(blob.digest))) === blob.size
        ? blobFromFile(blobPath(blob.digest), blob)
        : undefined;
    return layerFromFile(tarPath(diffId), { diffId, tarSize, blob: stored });
  }

  async function keepTar(tar: Bytes): Promise<Layer> {
    const path = temporary();
    const sum = digester();
    try {
      await writeFileAtomically(
        path,
        tee(tar, (chunk) => sum.update(chunk)),
      );
      const { digest, size } = sum.result();
      const known = await find(digest);
      if (known) return known;
      await rename(path, tarPath(digest));
      return await record(digest, size, undefined);
    } finally {
      await rm(path, { force: true });
    }
  }

  /** The stored form goes first: the plain tar then comes out of the copy, so that the source is read once. */
  async function keep(layer: Layer, onBytes: (done: number) => void = () => {}): Promise<Layer> {
    const stored = layer.blob && compressionOf(layer.blob.mediaType) !== "none" ? layer.blob : undefined;
    const known = await find(layer.diffId);
    if (known && (known.blob || !stored)) return known;
    if (stored) await writeFileAtomically(blobPath(stored.digest), counted(layer.open("blob"), onBytes));
    if (known?.tarSize !== undefined) return record(layer.diffId, known.tarSize, stored);
    const plain = stored ? layerFromBlob(blobFromFile(blobPath(stored.digest), stored), layer.diffId) : layer;
    let size = 0;
    const sized = counted(plain.open("tar"), (done) => {
      size = done;
      if (!stored) onBytes(done);
    });
    await writeFileAtomically(tarPath(layer.diffId), sized);
    return record(layer.diffId, size, stored);
  }

  return {
    find,
    keepTar,
    keep,
    async note(key, read) {
      await noteUse(notePath(key));
      return readJson(notePath(key), read);
    },
    writeNote: (key, value) => writeJson(notePath(key), value),
    temporary,
  };
}

function readAbout(json: unknown): { readonly tarSize: number; readonly blob: Descriptor | undefined } {
  const { tarSize, blob } = json as { tarSize: unknown; blob?: unknown };
  if (typeof tarSize !== "number") throw new TypeError("tarSize");
  return { tarSize, blob: blob === undefined ? undefined : parseDescriptor(blob, "blob") };
}

/** undefined: not there, or not what `read` understands, as after a change of the format. */
async function readJson<T>(path: string, read: (json: unknown) => T): Promise<T | undefined> {
  try {
    return read(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && code !== "ENOENT" && !isOciError(error)) throw error;
    return undefined;
  }
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomically(path, bytesOf(Buffer.from(JSON.stringify(value))));
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.size;
}

async function* tee(bytes: Bytes, see: (chunk: Uint8Array) => void): Bytes {
  for await (const chunk of bytes) {
    see(chunk);
    yield chunk;
  }
}
