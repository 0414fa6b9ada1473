import { OciError } from "./error.ts";
import { blockSize, encodeBlock, octalLimit, paddingOf } from "./tar-block.ts";
import {
  type ByteString,
  type TarEntryType,
  type TarHeader,
  type TarInput,
  tarHeader,
  WholeBody,
} from "./tar-entry.ts";
import { encodePax, formatTime, xattrRecords } from "./tar-pax.ts";

/**
 * A tar in the pax dialect, the same bytes for the same entries: ustar headers, extended ones only where a value does not fit.
 * Large bodies pass through uncopied. Rejects with `size-mismatch` when a body is not as long as its header says, with `invalid` for a header
 * that no tar can hold.
 */
export async function* writeTar(
  entries: AsyncIterable<TarInput> | Iterable<TarInput>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* encodeEntries(entries);
  yield tarEnd;
}

/** What `writeTar` writes, without the end: more entries may follow. */
export async function* encodeEntries(
  entries: AsyncIterable<TarInput> | Iterable<TarInput>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const out = gatherer();
  for await (const { header, body } of entries) {
    for (const chunk of out.add(encodeTarHeader(header))) yield chunk;
    const whole = body instanceof WholeBody ? body.content : (body ?? nothing);
    let written = 0;
    if (whole instanceof Uint8Array) {
      written = whole.length;
      if (written !== header.size) throw sizeMismatch(header, written);
      for (const chunk of out.add(whole)) yield chunk;
    } else {
      for await (const piece of whole) {
        written += piece.length;
        if (written > header.size) throw sizeMismatch(header, written);
        for (const chunk of out.add(piece)) yield chunk;
      }
      if (written !== header.size) throw sizeMismatch(header, written);
    }
    for (const chunk of out.add(tarPadding(written))) yield chunk;
  }
  const rest = out.rest();
  if (rest.length > 0) yield rest;
}

/** What follows a body of this size. */
export function tarPadding(size: number): Uint8Array {
  return tarEnd.subarray(0, paddingOf(size));
}

/** A whole tar in memory, for small ones. */
export function tarOf(entries: Iterable<{ readonly header: TarHeader; readonly body?: Uint8Array }>): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const { header, body = nothing } of entries) {
    if (body.length !== header.size) throw sizeMismatch(header, body.length);
    pieces.push(encodeTarHeader(header), body, tarPadding(body.length));
  }
  return Buffer.concat([...pieces, tarEnd]);
}

/** The header blocks of one entry: an extended header where needed, then the plain one. */
export function encodeTarHeader(header: TarHeader): Uint8Array {
  refuseUnwritable(header);
  const name = header.type === "directory" ? `${header.name}/` : header.name;
  const [prefix, short] = splitName(name) ?? ["", name];
  const records = extendedRecords(header, name, short);
  if (records.length === 0) {
    const block = Buffer.allocUnsafe(blockSize);
    encodeBlock(block, 0, header, typeBytes[header.type], prefix, short);
    return block;
  }
  const pax = encodePax(records);
  const blocks = Buffer.alloc(blockSize + pax.length + paddingOf(pax.length) + blockSize);
  // A fixed name, where other tars put their process id.
  encodeBlock(blocks, 0, tarHeader({ name: "pax", type: "file", size: pax.length }), "x", "", "pax");
  pax.copy(blocks, blockSize);
  encodeBlock(blocks, blocks.length - blockSize, header, typeBytes[header.type], prefix, short);
  return blocks;
}

const typeBytes: Readonly<Record<TarEntryType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

const nothing = new Uint8Array(0);
/** Two blocks of zeros. */
export const tarEnd: Uint8Array = new Uint8Array(2 * blockSize);

type Records = (readonly [ByteString, ByteString | Uint8Array])[];

/** What the plain header cannot say, always in the same order. */
function extendedRecords(header: TarHeader, name: ByteString, short: ByteString): Records {
  const records: Records = [];
  if (short.length > 100) records.push(["path", name]);
  if (header.linkname.length > 100) records.push(["linkpath", header.linkname]);
  if (header.size > octalLimit(12)) records.push(["size", String(header.size)]);
  if (header.uid > octalLimit(8)) records.push(["uid", String(header.uid)]);
  if (header.gid > octalLimit(8)) records.push(["gid", String(header.gid)]);
  if (header.uname.length > 31) records.push(["uname", header.uname]);
  if (header.gname.length > 31) records.push(["gname", header.gname]);
  const { mtime } = header;
  if (mtime < 0n || mtime % 1_000_000_000n !== 0n || mtime > lastPlainTime) records.push(["mtime", formatTime(mtime)]);
  if (header.xattrs.size > 0) records.push(...xattrRecords(header.xattrs));
  return records;
}

const lastPlainTime = BigInt(octalLimit(12)) * 1_000_000_000n;

/** Prefix and name of a ustar header; undefined when the name does not fit. */
function splitName(name: ByteString): readonly [ByteString, ByteString] | undefined {
  if (name.length <= 100) return ["", name];
  const slash = name.indexOf("/", name.length - 101);
  // The slash that ends a directory's name is no place to split.
  const splits = slash > 0 && slash <= 155 && slash < name.length - 1;
  return splits ? [name.slice(0, slash), name.slice(slash + 1)] : undefined;
}

/** Gathers small pieces into chunks: a copy is cheaper than another turn through every stage behind us. */
function gatherer() {
  const capacity = 256 << 10;
  const large = 64 << 10;
  let buffer = Buffer.allocUnsafeSlow(capacity);
  let start = 0;
  let end = 0;
  const rest = (): Uint8Array => {
    const chunk = buffer.subarray(start, end);
    start = end;
    return chunk;
  };
  return {
    /** Takes a piece; gives the chunks that are ready now. */
    add(piece: Uint8Array): readonly Uint8Array[] {
      if (piece.length >= large) return end > start ? [rest(), piece] : [piece];
      const ready = end + piece.length > capacity ? [rest()] : none;
      if (ready !== none) {
        buffer = Buffer.allocUnsafeSlow(capacity);
        start = 0;
        end = 0;
      }
      buffer.set(piece, end);
      end += piece.length;
      return ready;
    },
    rest,
  };
}

const none: readonly Uint8Array[] = [];

function refuseUnwritable(header: TarHeader): void {
  const { name, linkname, uname, gname, uid, gid, size, major, minor } = header;
  if (
    name === "" ||
    unwritable.test(name) ||
    unwritable.test(linkname) ||
    unwritable.test(uname) ||
    unwritable.test(gname)
  )
    throw invalid(header, "its names must be byte strings without NUL, not empty");
  if (!(isCount(uid) && isCount(gid) && isCount(size) && isCount(major) && isCount(minor)))
    throw invalid(header, "its numbers must be whole and not negative");
  if (major > octalLimit(8) || minor > octalLimit(8))
    throw invalid(header, "its device numbers are too large for a tar");
}

const unwritable = /[\0\u0100-\uffff]/;

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function invalid(header: TarHeader, why: string): OciError {
  return new OciError(
    "invalid",
    `${JSON.stringify(header.name)} cannot be in a tar: ${why}`,
    "Rename it or leave it out.",
  );
}

function sizeMismatch(header: TarHeader, found: number): OciError {
  return new OciError(
    "size-mismatch",
    `${JSON.stringify(header.name)} should have ${header.size} bytes, found ${found > header.size ? "more" : found}`,
    "The file changed while it was read: try again.",
  );
}
