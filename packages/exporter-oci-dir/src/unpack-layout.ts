import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import type { ByteSink } from "@melange2/core";
import { type Bytes, entryPath, openImage, readTar, verified, writeAll } from "@melange2/oci";
import { asExportError } from "./export-error.ts";
import { syncFolder } from "./layout-folder.ts";

/** A layout being written from an archive of it. */
export interface LayoutWriter {
  /** Takes an OCI archive. Rejects with what went wrong in the folder. */
  readonly sink: ByteSink;
  /** Resolves when a whole layout is in the folder, durable, with every blob that its one image names. */
  finish(): Promise<void>;
  /** Ends the work without a layout; the folder holds parts of one. */
  abandon(): Promise<void>;
}

/** Unpacks an OCI archive into an empty folder, each blob held against its digest. All errors have the code `export`. */
export function unpackLayout(folder: string, name: string): LayoutWriter {
  // Hands over chunk by chunk: a write ends when its chunk was taken, and fails once the reader has ended.
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const unpacked = unpack(readable, folder).catch((error) => {
    throw asExportError(error, name);
  });
  unpacked.catch(() => {}); // told by write, finish or abandon, whichever comes first
  const end = () => writer.close().catch(() => {}); // ended before, or the reader has: it says why
  return {
    sink: {
      async write(chunk) {
        try {
          await writer.write(chunk);
        } catch (error) {
          // The reader's reason is the true one.
          await unpacked;
          throw error;
        }
      },
      close: end,
    },
    async finish() {
      await end();
      await unpacked;
    },
    async abandon() {
      await writer.abort().catch(() => {});
      await unpacked.catch(() => {});
    },
  };
}

async function unpack(archive: Bytes, folder: string): Promise<void> {
  const blobs = join(folder, "blobs/sha256");
  await mkdir(blobs, { recursive: true, mode: 0o700 });
  for await (const { header, body } of readTar(archive)) {
    if (header.type !== "file") continue;
    const path = entryPath(header.name);
    const hex = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(path)?.[1];
    if (hex !== undefined) {
      const blob = { digest: `sha256:${hex}`, size: header.size } as const;
      await writeFile(join(blobs, hex), verified(body, blob, `blob ${blob.digest}`));
    } else if (path === "oci-layout" || path === "index.json") {
      await writeFile(join(folder, path), body);
    }
    // Anything else is for docker load and no part of a layout.
  }
  await openImage(folder);
  for (const each of [blobs, join(folder, "blobs"), folder]) await syncFolder(each);
}

async function writeFile(path: string, bytes: Bytes): Promise<void> {
  const handle = await open(path, "w", 0o600);
  try {
    await writeAll(handle, bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
