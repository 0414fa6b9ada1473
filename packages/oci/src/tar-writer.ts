import type { Bytes } from "./bytes.ts";
import { OciError } from "./error.ts";
import { blockSize, encodeBlock, octalLimit } from "./tar-block.ts";
import { type ByteString, type TarEntryType, type TarHeader, type TarInput, tarHeader } from "./tar-entry.ts";
import { encodePax, formatTime, xattrRecords } from "./tar-pax.ts";

const typeBytes: Readonly<Record<TarEntryType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/** Small pieces are gathered up to this size; larger ones pass through uncopied. */
const gather = 256 << 10;
const large = 16 << 10;

/**
 * A tar in the pax dialect, the same bytes for the same entries: ustar headers, extended ones only where a value does not fit.
 * Rejects with `size-mismatch` when a body is not as long as its header says, with `invalid` for a header that no tar can hold.
 */
export async function* writeTar(
  entries: AsyncIterable<TarInput> | Iterable<TarInput>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let buffer = Buffer.allocUnsafe(gather);
  let filled = 0;

  for await (const { header, body } of entries) {
    const head = encodeTarHeader(header);
    if (filled + head.length > buffer.length) {
      if (filled > 0) yield buffer.subarray(0, filled);
      buffer = Buffer.allocUnsafe(Math.max(gather, head.length));
      filled = 0;
    }
    filled += head.copy(buffer, filled);

    let written = 0;
    for await (const chunk of chunksOf(body)) {
      written += chunk.length;
      if (written > header.size) throw sizeMismatch(header, written);
      if (chunk.length < large && filled + chunk.length <= buffer.length) {
        buffer.set(chunk, filled);
        filled += chunk.length;
        continue;
      }
      if (filled > 0) yield buffer.subarray(0, filled);
      // What was yielded belongs to the consumer; the rest of the buffer is still ours.
      buffer = buffer.length - filled > gather / 4 ? buffer.subarray(filled) : Buffer.allocUnsafe(gather);
      filled = 0;
      yield chunk;
    }
    if (written !== header.size) throw sizeMismatch(header, written);

    const padding = (blockSize - (written % blockSize)) % blockSize;
    if (filled + padding > buffer.length) {
      yield buffer.subarray(0, filled);
      buffer = Buffer.allocUnsafe(gather);
      filled = 0;
    }
    buffer.fill(0, filled, filled + padding);
    filled += padding;
  }
  if (filled > 0) yield buffer.subarray(0, filled);
  yield Buffer.alloc(2 * blockSize);
}

/** A whole tar in memory, for small ones. */
export function tarOf(entries: Iterable<{ readonly header: TarHeader; readonly body?: Uint8Array }>): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const { header, body = new Uint8Array(0) } of entries) {
    if (body.length !== header.size) throw sizeMismatch(header, body.length);
    pieces.push(encodeTarHeader(header), body, Buffer.alloc((blockSize - (body.length % blockSize)) % blockSize));
  }
  return Buffer.concat([...pieces, Buffer.alloc(2 * blockSize)]);
}

/** The header blocks of one entry: an extended header where needed, then the plain one. */
export function encodeTarHeader(header: TarHeader): Buffer {
  refuseUnwritable(header);
  const name = header.type === "directory" ? `${header.name}/` : header.name;
  const split = splitName(name);
  const records: (readonly [ByteString, ByteString | Uint8Array])[] = [];
  if (!split) records.push(["path", name]);
  if (header.linkname.length > 100) records.push(["linkpath", header.linkname]);
  if (header.size > octalLimit(12)) records.push(["size", String(header.size)]);
  if (header.uid > octalLimit(8)) records.push(["uid", String(header.uid)]);
  if (header.gid > octalLimit(8)) records.push(["gid", String(header.gid)]);
  if (header.uname.length > 31) records.push(["uname", header.uname]);
  if (header.gname.length > 31) records.push(["gname", header.gname]);
  if (
    header.mtime % 1_000_000_000n !== 0n ||
    header.mtime < 0n ||
    header.mtime / 1_000_000_000n > BigInt(octalLimit(12))
  )
    records.push(["mtime", formatTime(header.mtime)]);
  records.push(...xattrRecords(header.xattrs));

  const [prefix, short] = split ?? ["", name];
  const plain = encodeBlock({ ...header, name: short }, typeBytes[header.type], prefix);
  if (records.length === 0) return plain;
  const pax = encodePax(records);
  const filler = Buffer.alloc((blockSize - (pax.length % blockSize)) % blockSize);
  return Buffer.concat([
    encodeBlock(tarHeader({ name: "pax", type: "file", size: pax.length }), "x"),
    pax,
    filler,
    plain,
  ]);
}

/** Prefix and name of a ustar header; undefined when the name does not fit. */
function splitName(name: ByteString): readonly [ByteString, ByteString] | undefined {
  if (name.length <= 100) return ["", name];
  if (name.length > 256) return undefined;
  const slash = name.indexOf("/", name.length - 101);
  // The slash that ends a directory's name is no place to split.
  return slash > 0 && slash <= 155 && slash < name.length - 1
    ? [name.slice(0, slash), name.slice(slash + 1)]
    : undefined;
}

function refuseUnwritable(header: TarHeader): void {
  const bad = [header.name, header.linkname, header.uname, header.gname].find((text) => /[\0\u0100-\uffff]/.test(text));
  if (bad !== undefined || header.name === "")
    throw invalid(header, "its names must be byte strings without NUL, not empty");
  const numbers = [header.uid, header.gid, header.size, header.major, header.minor];
  if (!numbers.every((value) => Number.isSafeInteger(value) && value >= 0))
    throw invalid(header, "its numbers must be whole and not negative");
  if (header.major > octalLimit(8) || header.minor > octalLimit(8))
    throw invalid(header, "its device numbers are too large for a tar");
}

async function* chunksOf(body: TarInput["body"]): Bytes {
  if (body instanceof Uint8Array) yield body;
  else if (body) yield* body;
}

function invalid(header: TarHeader, why: string): OciError {
  return new OciError(
    "invalid",
    `${JSON.stringify(header.name)} cannot be written into a tar: ${why}`,
    "Rename or leave out the file.",
  );
}

function sizeMismatch(header: TarHeader, found: number): OciError {
  return new OciError(
    "size-mismatch",
    `${JSON.stringify(header.name)} should have ${header.size} bytes, found ${found > header.size ? "more" : found}`,
    "The file changed while it was read: try again.",
  );
}
