import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  type Blob,
  type Bytes,
  blobFromFile,
  type Descriptor,
  digestOfBytes,
  hexOf,
  readFileBytes,
  writeFileAtomically,
} from "@melange2/oci";

/** Blobs by digest in a directory. Several processes may use it at the same time; whatever is in it is there whole. */
export interface BlobCache {
  /** The blob as a file that was just read and found right; undefined: not there, or damaged. */
  find(descriptor: Pick<Descriptor, "mediaType" | "digest" | "size">): Promise<Blob | undefined>;
  /** `bytes` must reject unless they are what the descriptor says. */
  store(descriptor: Descriptor, bytes: Bytes): Promise<Blob>;
}

export function createBlobCache(directory: string): BlobCache {
  const folder = join(directory, "sha256");
  const pathOf = (descriptor: Pick<Descriptor, "digest">) => join(folder, hexOf(descriptor.digest));
  return {
    async find(descriptor) {
      const path = pathOf(descriptor);
      const found = await stat(path).catch(absent);
      if (found?.size !== descriptor.size) return undefined;
      // Read once for its digest: a damaged file is fetched anew instead of failing the build.
      const { digest } = await digestOfBytes(readFileBytes(path));
      return digest === descriptor.digest ? blobFromFile(path, descriptor) : undefined;
    },
    async store(descriptor, bytes) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const path = pathOf(descriptor);
      await writeFileAtomically(path, bytes);
      return blobFromFile(path, descriptor);
    },
  };
}

function absent(error: unknown): undefined {
  if ((error as { code?: string }).code === "ENOENT") return undefined;
  throw error;
}
