import { type ByteSource, streamSource } from "./byte-source.ts";
import type { Bytes } from "./bytes.ts";
import { OciError } from "./error.ts";
import { type Block, blockSize, isZeroBlock, paddingOf, parseBlock } from "./tar-block.ts";
import { type TarEntry, type TarHeader, WholeBody } from "./tar-entry.ts";
import { applyPax, type PaxRecords, parsePax } from "./tar-pax.ts";

export interface ReadTarOptions {
  /** "optional": an archive may stop after its last entry without the two zero blocks. Default "required": that is a truncated archive. */
  readonly end?: "required" | "optional";
}

/**
 * Entries of a tar, in order: ustar, pax, GNU and old v7 dialects. Bodies share memory with the input. Reads to the end of the input, padding included.
 * Rejects with `corrupt`, `truncated` or `unsupported`. Names are not judged: see `entryPath`.
 */
export function readTar(bytes: Bytes, options: ReadTarOptions = {}): AsyncGenerator<TarEntry, void, undefined> {
  return readTarEntries(streamSource(bytes), options);
}

/** The entries of a source, which is closed at the end. Where bytes are at hand nothing is awaited: most entries of most tars are small. */
export async function* readTarEntries(
  source: ByteSource,
  options: ReadTarOptions = {},
): AsyncGenerator<TarEntry, void, undefined> {
  let global: PaxRecords = noRecords;
  let said: Announcements = nothingSaid;
  try {
    for (;;) {
      const offset = source.position;
      const bytes = source.now(blockSize) ?? (await source.take(blockSize));
      if (bytes.length === 0 && options.end === "optional") return;
      if (bytes.length === 0) throw truncated(offset, "its end mark is missing");
      if (bytes.length < blockSize) throw truncated(offset, "it ends within a header");
      if (isZeroBlock(bytes)) {
        while (await source.some(1 << 20));
        return;
      }
      const block = parseBlock(bytes, offset);
      if (block.kind !== "entry") {
        const content = await metadata(source, block);
        if (block.kind === "pax-global") global = new Map([...global, ...parsePax(content)]);
        else said = announced(said, block, content);
        continue;
      }
      const header = finish(block.header, said, global);
      const records = said.records.size > 0 ? { records: said.records } : {};
      said = nothingSaid;
      const bodyOffset = source.position;
      const whole = source.now(header.size);
      const body = whole ? new WholeBody(whole) : new StreamedBody(source, header);
      yield { header, body, bodyOffset, ...records };
      const rest = (whole ? 0 : (body as StreamedBody).abandon()) + paddingOf(header.size);
      if (rest > 0 && !source.now(rest)) await skipExactly(source, rest);
    }
  } finally {
    await source.close();
  }
}

/** What extended headers say about the entry that follows. */
interface Announcements {
  readonly records: PaxRecords;
  readonly name?: string;
  readonly linkname?: string;
}

const noRecords: PaxRecords = new Map();
const nothingSaid: Announcements = { records: noRecords };

function announced(said: Announcements, block: Block, content: Uint8Array): Announcements {
  if (block.kind === "pax") return { ...said, records: parsePax(content) };
  if (block.kind === "gnu-name") return { ...said, name: cString(content) };
  if (block.kind === "gnu-link") return { ...said, linkname: cString(content) };
  return said;
}

function finish(plain: TarHeader, said: Announcements, global: PaxRecords): TarHeader {
  let header = plain;
  if (said.name !== undefined) header = { ...header, name: said.name };
  if (said.linkname !== undefined) header = { ...header, linkname: said.linkname };
  if (said.records.size > 0 || global.size > 0)
    header = applyPax(header, global.size > 0 ? new Map([...global, ...said.records]) : said.records);
  // Old tars mark a directory by the slash alone: asked of the final name, as the plain header's may be a cut one that happens to end so.
  if (header.name.length > 1 && header.name.endsWith("/")) {
    const name = header.name.replace(/\/+$/, "") || "/";
    header = { ...header, name, type: header.type === "file" ? "directory" : header.type };
  }
  // Some tools give links, devices and directories a size without a body; only files have one.
  return header.type !== "file" && header.size > 0 ? { ...header, size: 0 } : header;
}

/** A body that is still on its way. */
class StreamedBody implements AsyncIterableIterator<Uint8Array> {
  readonly #source: ByteSource;
  readonly #name: string;
  #remaining: number;
  #abandoned = false;

  constructor(source: ByteSource, header: TarHeader) {
    this.#source = source;
    this.#name = header.name;
    this.#remaining = header.size;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#remaining === 0) return { done: true, value: undefined };
    if (this.#abandoned) throw new TypeError("a tar entry's body was read after the next entry was asked for");
    const value = await this.#source.some(this.#remaining);
    if (!value) throw truncated(this.#source.position, `it ends within ${JSON.stringify(this.#name)}`);
    this.#remaining -= value.length;
    return { done: false, value };
  }

  /** Ends the reading; tells how many bytes were left. */
  abandon(): number {
    this.#abandoned = true;
    return this.#remaining;
  }
}

async function metadata(source: ByteSource, block: Block): Promise<Uint8Array> {
  const { size } = block.header;
  if (size > metadataLimit)
    throw new OciError("corrupt", `an extended tar header of ${size} bytes`, "The archive is damaged.");
  const bytes = source.now(size) ?? (await source.take(size));
  if (bytes.length < size) throw truncated(source.position, "it ends within an extended header");
  if (!source.now(paddingOf(size))) await skipExactly(source, paddingOf(size));
  return bytes;
}

// Attribute values have 64 KiB at most; this leaves room for a thousand of them and bounds what a damaged size can take.
const metadataLimit = 64 << 20;

async function skipExactly(source: ByteSource, length: number): Promise<void> {
  if ((await source.skip(length)) < length) throw truncated(source.position, "it ends within an entry");
}

function cString(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = buffer.indexOf(0);
  return buffer.toString("latin1", 0, end < 0 ? buffer.length : end);
}

function truncated(offset: number, why: string): OciError {
  return new OciError("truncated", `the tar is cut off at byte ${offset}: ${why}`, "Make or fetch the archive again.");
}
