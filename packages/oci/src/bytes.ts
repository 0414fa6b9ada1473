import { OciError } from "./error.ts";

/** A stream of bytes. Consumed once; ending the iteration early releases what feeds it. Chunks are never changed after they were yielded. */
export type Bytes = AsyncIterable<Uint8Array>;

/** Where bytes go. `write` resolves when more may be written; `close` when all of it is handed over. Need not be seekable. */
export interface ByteSink {
  write(chunk: Uint8Array): Promise<void>;
  close(): Promise<void>;
  /**
   * Appends a file of this machine, from its beginning to its end, for sinks that do so for less than chunk by chunk. `see` is called with
   * each piece in order, to look at it during the call only; what it throws ends the writing. Callers do without where it is absent.
   */
  appendFile?(path: string, see: (piece: Uint8Array) => void): Promise<void>;
}

export type StringMap = Readonly<Record<string, string>>;

/** Bytes that are already in memory, as a stream. */
export async function* bytesOf(...chunks: readonly Uint8Array[]): Bytes {
  yield* chunks;
}

/** All bytes in one array. Rejects with `invalid` once more than `limit` bytes came: metadata is small, and a stream may be anything. */
export async function collect(bytes: Bytes, limit: number, what: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.length;
    if (size > limit) throw tooLarge(what, limit);
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

/** Stops with the signal's reason between two chunks. */
export async function* abortable(bytes: Bytes, signal: AbortSignal | undefined): Bytes {
  signal?.throwIfAborted();
  for await (const chunk of bytes) {
    signal?.throwIfAborted();
    yield chunk;
  }
}

/** Passes bytes on and reports how many came so far, after each chunk. */
export async function* counted(bytes: Bytes, onBytes: (soFar: number) => void): Bytes {
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.length;
    yield chunk;
    onBytes(size);
  }
}

function tooLarge(what: string, limit: number): OciError {
  return new OciError(
    "invalid",
    `${what} is larger than ${limit} bytes`,
    "Metadata of this size is not plausible; check the input.",
  );
}
