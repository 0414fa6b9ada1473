import type { FileHandle } from "node:fs/promises";
import type { Bytes } from "./bytes.ts";

/** Bytes asked for piece by piece. Pieces may share memory with the input. */
export interface ByteSource {
  /** Bytes consumed so far. */
  readonly position: number;
  /** Exactly `length` bytes if they are at hand without waiting; undefined, and nothing consumed, if not. */
  now(length: number): Uint8Array | undefined;
  /** Exactly `length` bytes; fewer only at the end of the input. */
  take(length: number): Promise<Uint8Array>;
  /** At least one byte and at most `limit`, whatever is at hand; undefined at the end. */
  some(limit: number): Promise<Uint8Array | undefined>;
  /** How many bytes were skipped; fewer than `length` only at the end. */
  skip(length: number): Promise<number>;
  close(): Promise<void>;
}

export function streamSource(bytes: Bytes): ByteSource {
  const iterator = bytes[Symbol.asyncIterator]();
  let chunk: Uint8Array = new Uint8Array(0);
  let position = 0;
  let ended = false;

  const fill = async (): Promise<boolean> => {
    while (chunk.length === 0 && !ended) {
      const next = await iterator.next();
      if (next.done) ended = true;
      else chunk = next.value;
    }
    return chunk.length > 0;
  };
  const cut = (length: number): Uint8Array => {
    const piece = chunk.subarray(0, length);
    chunk = chunk.subarray(length);
    position += piece.length;
    return piece;
  };

  return {
    get position() {
      return position;
    },
    now: (length) => (chunk.length >= length ? cut(length) : undefined),
    async take(length) {
      if (chunk.length >= length) return cut(length);
      const pieces: Uint8Array[] = [];
      let missing = length;
      while (missing > 0 && (await fill())) {
        const piece = cut(missing);
        pieces.push(piece);
        missing -= piece.length;
      }
      return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
    },
    async some(limit) {
      return chunk.length > 0 || (await fill()) ? cut(limit) : undefined;
    },
    async skip(length) {
      let missing = length;
      while (missing > 0 && (chunk.length > 0 || (await fill()))) missing -= cut(missing).length;
      return length - missing;
    },
    async close() {
      if (!ended) await iterator.return?.();
      ended = true;
    },
  };
}

/** A file with random access: skipping costs nothing. Closing it leaves the handle open. */
export function fileSource(handle: FileHandle, size: number): ByteSource {
  let position = 0;
  const read = async (length: number): Promise<Uint8Array> => {
    const buffer = Buffer.allocUnsafeSlow(Math.min(length, size - position));
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    position += filled;
    return buffer.subarray(0, filled);
  };
  return {
    get position() {
      return position;
    },
    now: (length) => (length === 0 ? new Uint8Array(0) : undefined),
    take: read,
    async some(limit) {
      const piece = await read(Math.min(limit, 1 << 20));
      return piece.length > 0 ? piece : undefined;
    },
    async skip(length) {
      const skipped = Math.min(length, size - position);
      position += skipped;
      return skipped;
    },
    close: async () => {},
  };
}
