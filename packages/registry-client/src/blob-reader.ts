import type { Bytes } from "@melange2/oci";

/** Reads a blob's bytes in slices, in one pass as long as each slice was read to its end and the next follows it; otherwise the blob is opened anew. */
export interface BlobReader extends AsyncDisposable {
  slice(start: number, length: number): Bytes;
}

interface Cursor {
  readonly iterator: AsyncIterator<Uint8Array>;
  position: number;
  /** Read but not yet given out. */
  rest: Uint8Array;
}

export function createBlobReader(open: () => Bytes): BlobReader {
  // A slice owns its cursor while it runs: one that is given up half-way can never disturb its successor.
  let idle: Cursor | undefined;
  let closed = false;

  const take = async (start: number): Promise<Cursor> => {
    let cursor = idle;
    idle = undefined;
    if (cursor === undefined || cursor.position > start) {
      await cursor?.iterator.return?.();
      cursor = { iterator: open()[Symbol.asyncIterator](), position: 0, rest: new Uint8Array(0) };
    }
    while (cursor.position < start && (await some(cursor, start - cursor.position)) !== undefined);
    return cursor;
  };

  return {
    async *slice(start, length) {
      const cursor = await take(start);
      let complete = false;
      try {
        for (let left = length; left > 0; ) {
          const piece = await some(cursor, left);
          if (piece === undefined) break;
          left -= piece.length;
          // Whoever takes the last piece may not ask again.
          complete = left === 0;
          yield piece;
        }
      } finally {
        if (complete && !closed) idle = cursor;
        else await cursor.iterator.return?.();
      }
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      const cursor = idle;
      idle = undefined;
      await cursor?.iterator.return?.();
    },
  };
}

/** At most `limit` bytes; undefined at the end. */
async function some(cursor: Cursor, limit: number): Promise<Uint8Array | undefined> {
  while (cursor.rest.length === 0) {
    const next = await cursor.iterator.next();
    if (next.done === true) return undefined;
    cursor.rest = next.value;
  }
  const piece = cursor.rest.subarray(0, limit);
  cursor.rest = cursor.rest.subarray(piece.length);
  cursor.position += piece.length;
  return piece;
}
