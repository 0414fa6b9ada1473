import type { BlobStore } from "@melange2/buildkit-client";
import type { Blob } from "@melange2/oci";

/**
 * A store of blobs that can only be read from their beginning. A daemon asks for a blob in pieces, one after another: the stream stays
 * open between them, and a piece from somewhere else begins anew.
 */
export function sequentialStore(blobs: ReadonlyMap<string, Blob>): BlobStore {
  const cursors = new Map<string, Cursor>();
  return {
    size: async (digest) => blobs.get(digest)?.descriptor.size,
    async *read(digest, start, end) {
      const blob = blobs.get(digest);
      if (blob === undefined) throw new TypeError(`the blob ${digest} was never offered`);
      const waiting = cursors.get(digest);
      // While it is read from nobody else finds it.
      cursors.delete(digest);
      const cursor = waiting?.position === start ? waiting : openCursor(blob);
      if (cursor !== waiting) await waiting?.close();
      try {
        await cursor.skipTo(start);
        while (cursor.position < end) {
          const piece = await cursor.next(end - cursor.position);
          if (piece === undefined) break;
          yield piece;
        }
        if (cursor.position < blob.descriptor.size) cursors.set(digest, cursor);
      } finally {
        if (cursors.get(digest) !== cursor) await cursor.close();
      }
    },
  };
}

interface Cursor {
  readonly position: number;
  skipTo(position: number): Promise<void>;
  /** At most `limit` bytes; undefined: the blob has ended. */
  next(limit: number): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}

function openCursor(blob: Blob): Cursor {
  const bytes = blob.open()[Symbol.asyncIterator]();
  let position = 0;
  let rest: Uint8Array = new Uint8Array();
  const cursor: Cursor = {
    get position() {
      return position;
    },
    async skipTo(target) {
      while (position < target) if ((await cursor.next(target - position)) === undefined) return;
    },
    async next(limit) {
      while (rest.length === 0) {
        const read = await bytes.next();
        if (read.done === true) return undefined;
        rest = read.value;
      }
      const piece = rest.subarray(0, limit);
      rest = rest.subarray(piece.length);
      position += piece.length;
      return piece;
    },
    close: async () => void (await bytes.return?.()),
  };
  return cursor;
}
