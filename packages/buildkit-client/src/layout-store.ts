import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { BlobStore } from "./session/content.ts";

/** The blobs of an OCI image layout directory. */
export function layoutStore(directory: string): BlobStore {
  const pathOf = (digest: string) => join(directory, "blobs", ...digest.split(":"));
  return {
    async size(digest) {
      try {
        return (await stat(pathOf(digest))).size;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
    },
    async *read(digest, start, end) {
      if (end > start) yield* createReadStream(pathOf(digest), { start, end: end - 1, highWaterMark: 1024 * 1024 });
    },
  };
}
