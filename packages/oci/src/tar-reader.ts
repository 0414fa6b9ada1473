import { type ByteSource, streamSource } from "./byte-source.ts";
import type { Bytes } from "./bytes.ts";
import { OciError } from "./error.ts";
import { type Block, blockSize, isZeroBlock, parseBlock } from "./tar-block.ts";
import type { TarEntry, TarEntryType, TarHeader } from "./tar-entry.ts";
import { applyPax, type PaxRecords, parsePax } from "./tar-pax.ts";

export interface ReadTarOptions {
  /** "optional": an archive may stop after its last entry without the two zero blocks. Default "required": that is a truncated archive. */
  readonly end?: "required" | "optional";
}

/**
 * Entries of a tar, in order: ustar, pax, GNU and old v7 dialects. Bodies share memory with the input. Reads to the end of the input, padding included.
 * Rejects with `corrupt`, `truncated` or `unsupported`. Names are not judged: see `entryPath`.
 */
export async function* readTar(bytes: Bytes, options: ReadTarOptions = {}): AsyncGenerator<TarEntry, void, undefined> {
  const source = streamSource(bytes);
  try {
    yield* readTarEntries(source, options);
  } finally {
    await source.close();
  }
}

/** The entries of a source; when an entry comes, `source.position` is where its body begins. */
export async function* readTarEntries(
  source: ByteSource,
  options: ReadTarOptions = {},
): AsyncGenerator<TarEntry, void, undefined> {
  let global: PaxRecords = noRecords;
  let local: PaxRecords = noRecords;
  let longName: string | undefined;
  let longLink: string | undefined;
  for (;;) {
    const offset = source.position;
    const bytes = await source.take(blockSize);
    if (bytes.length === 0) {
      if (options.end === "optional") return;
      throw truncated(offset, "its end mark is missing");
    }
    if (bytes.length < blockSize) throw truncated(offset, "it ends within a header");
    if (isZeroBlock(bytes)) {
      while (await source.some(1 << 20));
      return;
    }
    const block = parseBlock(bytes, offset);
    if (block.kind === "pax") local = parsePax(await metadata(source, block));
    else if (block.kind === "pax-global") global = new Map([...global, ...parsePax(await metadata(source, block))]);
    else if (block.kind === "gnu-name") longName = cString(await metadata(source, block));
    else if (block.kind === "gnu-link") longLink = cString(await metadata(source, block));
    else if (block.kind === "ignored") await skipExactly(source, block.header.size + padding(block.header.size));
    else {
      const named = {
        ...block.header,
        ...(longName === undefined ? {} : { name: longName }),
        ...(longLink === undefined ? {} : { linkname: longLink }),
      };
      const records = global.size > 0 ? new Map([...global, ...local]) : local;
      yield* one(source, tidy(applyPax(named, records)));
      local = noRecords;
      longName = undefined;
      longLink = undefined;
    }
  }
}

const noRecords: PaxRecords = new Map();

// Some tools give links, devices and directories a size without a body; only files have one. Old tars mark a directory by the slash alone:
// asked of the final name, as the plain header's may be a cut one that happens to end in a slash.
function tidy(header: TarHeader): TarHeader {
  const name = header.name.length > 1 && header.name.endsWith("/") ? header.name.replace(/\/+$/, "") : header.name;
  const type: TarEntryType = header.type === "file" && name !== header.name ? "directory" : header.type;
  const linked = type === "hardlink" || type === "symlink";
  return { ...header, name, type, size: type === "file" ? header.size : 0, linkname: linked ? header.linkname : "" };
}

async function* one(source: ByteSource, header: TarHeader): AsyncGenerator<TarEntry, void, undefined> {
  let remaining = header.size;
  let current = true;
  async function* body(): Bytes {
    while (remaining > 0) {
      if (!current) throw new TypeError("a tar entry's body was read after the next entry was asked for");
      const chunk = await source.some(remaining);
      if (!chunk) throw truncated(source.position, `it ends within ${JSON.stringify(header.name)}`);
      remaining -= chunk.length;
      yield chunk;
    }
  }
  yield { header, body: { [Symbol.asyncIterator]: () => body()[Symbol.asyncIterator]() } };
  current = false;
  await skipExactly(source, remaining + padding(header.size));
}

/** Bytes that fill the last block. */
function padding(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

async function metadata(source: ByteSource, block: Block): Promise<Uint8Array> {
  const { size } = block.header;
  if (size > metadataLimit)
    throw new OciError("corrupt", `an extended tar header of ${size} bytes`, "The archive is damaged.");
  const bytes = await source.take(size);
  if (bytes.length < size) throw truncated(source.position, "it ends within an extended header");
  await skipExactly(source, padding(size));
  return bytes;
}

// Attribute values have 64 KiB at most; this leaves room for a thousand of them and bounds what a damaged size can take.
const metadataLimit = 64 << 20;

async function skipExactly(source: ByteSource, length: number): Promise<void> {
  if (length > 0 && (await source.skip(length)) < length) throw truncated(source.position, "it ends within an entry");
}

function cString(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = buffer.indexOf(0);
  return buffer.toString("latin1", 0, end < 0 ? buffer.length : end);
}

function truncated(offset: number, why: string): OciError {
  return new OciError("truncated", `the tar is cut off at byte ${offset}: ${why}`, "Make or fetch the archive again.");
}
