/** A stream of bytes. Consumed once; ending the iteration early releases what feeds it. */
export type Bytes = AsyncIterable<Uint8Array>;

/** Where bytes go. `write` resolves when more may be written (back-pressure); `close` when all of it is handed over. */
export interface ByteSink {
  write(chunk: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** An OCI digest, `sha256:` and 64 lowercase hex digits. */
export type Digest = `sha256:${string}`;

export type StringMap = Readonly<Record<string, string>>;
