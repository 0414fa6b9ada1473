/** A stream of bytes. Consumed once; ending the iteration early releases what feeds it. */
export type Bytes = AsyncIterable<Uint8Array>;

/** Where bytes go. `write` resolves when more may be written (back-pressure); `close` when all of it is handed over. */
export interface ByteSink {
  write(chunk: Uint8Array): Promise<void>;
  close(): Promise<void>;
  /**
   * Appends a file of this machine, from its beginning to its end, for sinks that do so for less than chunk by chunk. `see` is called with
   * each piece in order, to look at it during the call only; what it throws ends the writing. Callers do without where it is absent.
   */
  appendFile?(path: string, see: (piece: Uint8Array) => void): Promise<void>;
}

/** An OCI digest, `sha256:` and 64 lowercase hex digits. */
export type Digest = `sha256:${string}`;

export type StringMap = Readonly<Record<string, string>>;
