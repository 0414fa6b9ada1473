import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileSource } from "./byte-source.ts";
import { type Bytes, collect } from "./bytes.ts";
import { OciError } from "./error.ts";
import { readFileBytes } from "./file-bytes.ts";
import { baseName, entryPath, parentPath } from "./tar-path.ts";
import { readTarEntries } from "./tar-reader.ts";

/** One file of an image store: opened anew each time. */
export interface StoredFile {
  readonly size: number;
  open(): Bytes;
}

/** The files of an image store, wherever they are: a directory or a tar. Names are relative, with slashes. */
export interface ImageFiles {
  /** For messages: the path of the directory or tar. */
  readonly where: string;
  find(name: string): Promise<StoredFile | undefined>;
}

/** More than any config or manifest has; bounds what a damaged size can take. */
export const metadataLimit = 16 << 20;

/** A small file, whole. Rejects with `not-found`. */
export async function readWhole(files: ImageFiles, name: string): Promise<Uint8Array> {
  const file = await files.find(name);
  if (!file)
    throw new OciError("not-found", `${files.where} lacks ${name}`, "Copy the image again, with all of its files.");
  return collect(file.open(), metadataLimit, `${name} of ${files.where}`);
}

export function directoryFiles(path: string): ImageFiles {
  return {
    where: path,
    async find(name) {
      const file = join(path, entryPath(name));
      const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
        throw error;
      });
      return found?.isFile() ? { size: found.size, open: () => readFileBytes(file) } : undefined;
    },
  };
}

/** A plain tar: its headers are read once, bodies where they lie when they are asked for. Rejects as `readTar` does. */
export async function archiveFiles(path: string): Promise<ImageFiles> {
  const places = new Map<string, { readonly start: number; readonly length: number }>();
  const links = new Map<string, string>();
  const handle = await open(path);
  try {
    const { size } = await handle.stat();
    for await (const { header, bodyOffset } of readTarEntries(fileSource(handle, size), { end: "optional" })) {
      const name = entryPath(header.name);
      if (header.type === "file") places.set(name, { start: bodyOffset, length: header.size });
      // docker save (up to 24) writes a layer that two images share once, and then as a symlink.
      else if (header.type === "symlink") links.set(name, beside(name, header.linkname));
      else if (header.type === "hardlink") links.set(name, entryPath(header.linkname));
    }
  } finally {
    await handle.close();
  }
  const resolve = (name: string, depth: number) => {
    const target = links.get(name);
    if (target === undefined || depth > 40) return places.get(name);
    return resolve(target, depth + 1);
  };
  return {
    where: path,
    async find(name) {
      const place = resolve(entryPath(name), 0);
      return place && { size: place.length, open: () => wholeRange(path, place) };
    },
  };
}

async function* wholeRange(path: string, place: { readonly start: number; readonly length: number }): Bytes {
  let size = 0;
  for await (const chunk of readFileBytes(path, place)) {
    size += chunk.length;
    yield chunk;
  }
  if (size < place.length)
    throw new OciError("truncated", `${path} ends within one of its files`, "Make or fetch the archive again.");
}

function beside(name: string, target: string): string {
  const parts = parentPath(name).split("/").filter(Boolean);
  for (const part of target.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/") || baseName(name);
}
