import { OciError } from "./error.ts";
import { noXattrs, type TarEntryType, type TarHeader } from "./tar-entry.ts";

// One 512-byte header block, in the v7, ustar and GNU dialects.

export const blockSize = 512;

/** What a header block stands for: an entry, or something said about the next one. "ignored" has a body and means nothing. */
export type BlockKind = "entry" | "pax" | "pax-global" | "gnu-name" | "gnu-link" | "ignored";

export interface Block {
  readonly kind: BlockKind;
  /** `type` is "file" where the kind is no entry. `size` is that of the block's own body. */
  readonly header: TarHeader;
}

const entryTypes: Readonly<Record<string, TarEntryType>> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
};

const otherKinds: Readonly<Record<string, BlockKind>> = {
  x: "pax",
  g: "pax-global",
  L: "gnu-name",
  K: "gnu-link",
  V: "ignored", // a volume's label
};

/** How many bytes fill the last block of a body. */
export function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

export function isZeroBlock(block: Uint8Array): boolean {
  return block[0] === 0 && block.every((byte) => byte === 0);
}

/** Throws `corrupt` on a wrong checksum or number, `unsupported` on a kind of entry that this package does not read. */
export function parseBlock(bytes: Uint8Array, offset: number): Block {
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!checksumFits(block))
    throw new OciError(
      "corrupt",
      `no tar header at byte ${offset}: its checksum is wrong`,
      "The file is no tar archive, or it is damaged.",
    );
  const typeByte = String.fromCharCode(block[156] ?? 0);
  const type = entryTypes[typeByte];
  const kind = type ? "entry" : otherKinds[typeByte];
  if (!kind)
    throw new OciError(
      "unsupported",
      `tar entry of type ${JSON.stringify(typeByte)} at byte ${offset}`,
      "Make the archive again with GNU tar --format=posix, without --sparse and --multi-volume.",
    );
  const named = block[257] === 0x75; // the "u" of ustar, in both dialects
  const prefix = named && block[262] === 0 && block[345] !== 0 ? field(block, 345, 155) : "";
  const name = field(block, 0, 100);
  const device = type === "character" || type === "block";
  const number = (at: number, length: number): number => parseNumber(block, at, length, offset);
  return {
    kind,
    header: {
      name: prefix ? `${prefix}/${name}` : name,
      type: type ?? "file",
      mode: number(100, 8) & 0o7777,
      uid: number(108, 8),
      gid: number(116, 8),
      size: number(124, 12),
      mtime: BigInt(number(136, 12)) * 1_000_000_000n,
      linkname: type === "hardlink" || type === "symlink" ? field(block, 157, 100) : "",
      uname: named ? field(block, 265, 32) : "",
      gname: named ? field(block, 297, 32) : "",
      major: device ? number(329, 8) : 0,
      minor: device ? number(337, 8) : 0,
      xattrs: noXattrs,
    },
  };
}

/** Writes a ustar header at `at`. What does not fit is written as 0 or cut: the caller puts it into an extended header. */
export function encodeBlock(
  block: Buffer,
  at: number,
  header: TarHeader,
  type: string,
  prefix: string,
  name: string,
): void {
  block.fill(0, at, at + blockSize);
  block.write(name, at, 100, "latin1");
  octal(block, at + 100, 8, header.mode);
  octal(block, at + 108, 8, header.uid);
  octal(block, at + 116, 8, header.gid);
  octal(block, at + 124, 12, header.size);
  octal(block, at + 136, 12, header.mtime < 0n ? 0 : Number(header.mtime / 1_000_000_000n));
  block.fill(0x20, at + 148, at + 156);
  block.write(type, at + 156, 1, "latin1");
  if (header.linkname) block.write(header.linkname, at + 157, 100, "latin1");
  block.write("ustar\x0000", at + 257, 8, "latin1");
  if (header.uname) block.write(header.uname, at + 265, 31, "latin1");
  if (header.gname) block.write(header.gname, at + 297, 31, "latin1");
  octal(block, at + 329, 8, header.major);
  octal(block, at + 337, 8, header.minor);
  if (prefix) block.write(prefix, at + 345, 155, "latin1");
  let sum = 0;
  for (let index = at; index < at + blockSize; index++) sum += block[index] as number;
  octal(block, at + 148, 7, sum);
  block[at + 154] = 0;
}

/** The largest number of a field: one byte is its end. */
export function octalLimit(length: number): number {
  return 8 ** (length - 1) - 1;
}

function octal(block: Buffer, at: number, length: number, value: number): void {
  let rest = value > octalLimit(length) ? 0 : value;
  for (let index = at + length - 2; index >= at; index--) {
    block[index] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
}

function field(block: Buffer, at: number, length: number): string {
  let end = at;
  while (end < at + length && block[end] !== 0) end++;
  return end === at ? "" : block.toString("latin1", at, end);
}

function parseNumber(block: Buffer, at: number, length: number, offset: number): number {
  const value = (block[at] as number) & 0x80 ? parseBinary(block, at, length) : parseOctal(block, at, length);
  if (!Number.isSafeInteger(value))
    throw new OciError("corrupt", `the tar header at byte ${offset} holds a bad number`, "The archive is damaged.");
  return value;
}

/** Digits with blanks or NULs around them; NaN for anything else. */
function parseOctal(block: Buffer, at: number, length: number): number {
  const end = at + length;
  const blank = (index: number): boolean => block[index] === 0x20 || block[index] === 0;
  let index = at;
  while (index < end && blank(index)) index++;
  let value = 0;
  for (; index < end && !blank(index); index++) {
    const digit = (block[index] as number) - 0x30;
    if (digit < 0 || digit > 7) return Number.NaN;
    value = value * 8 + digit;
  }
  while (index < end && blank(index)) index++;
  return index === end ? value : Number.NaN;
}

// GNU tar's form for large and negative numbers: two's complement, the first byte's top bit set as a mark.
function parseBinary(block: Buffer, at: number, length: number): number {
  const negative = ((block[at] as number) & 0x40) !== 0;
  let value = negative ? -1n : 0n;
  for (let index = 0; index < length; index++) {
    const byte = block[at + index] as number;
    value = (value << 8n) | BigInt(index === 0 && !negative ? byte & 0x7f : byte);
  }
  return Number(value);
}

function checksumFits(block: Buffer): boolean {
  const said = parseOctal(block, 148, 8);
  let sum = 8 * 0x20;
  for (let index = 0; index < 148; index++) sum += block[index] as number;
  for (let index = 156; index < blockSize; index++) sum += block[index] as number;
  if (said === sum) return true;
  // Some old tars summed signed characters.
  for (let index = 0; index < blockSize; index++)
    if ((index < 148 || index >= 156) && (block[index] as number) > 127) sum -= 256;
  return said === sum;
}
