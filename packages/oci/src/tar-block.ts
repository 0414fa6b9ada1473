import { OciError } from "./error.ts";
import { noXattrs, type TarEntryType, type TarHeader } from "./tar-entry.ts";

// One 512-byte header block, in the v7, ustar and GNU dialects.

export const blockSize = 512;

/** What a header's type byte stands for: an entry, or something said about the next one. */
export type BlockKind = TarEntryType | "pax" | "pax-global" | "gnu-name" | "gnu-link" | "ignored";

const kinds: Readonly<Record<string, BlockKind>> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
  x: "pax",
  g: "pax-global",
  L: "gnu-name",
  K: "gnu-link",
  V: "ignored", // a volume's label
};

export interface Block {
  readonly kind: BlockKind;
  /** `type` is "file" where the kind is no entry. `size` is that of the block's own body. */
  readonly header: TarHeader;
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
  const number = (at: number, length: number) => parseNumber(block, at, length, offset);
  const magic = block.toString("latin1", 257, 263);
  const type = block.toString("latin1", 156, 157);
  const kind = kinds[type];
  if (!kind)
    throw new OciError(
      "unsupported",
      `tar entry of type ${JSON.stringify(type)} at byte ${offset}`,
      "Make the archive again with GNU tar --format=posix, without --sparse and --multi-volume.",
    );
  const prefix = magic === "ustar\0" ? field(block, 345, 155) : "";
  const name = field(block, 0, 100);
  const device = kind === "character" || kind === "block";
  return {
    kind,
    header: {
      name: prefix ? `${prefix}/${name}` : name,
      type: isEntryType(kind) ? kind : "file",
      mode: number(100, 8) & 0o7777,
      uid: number(108, 8),
      gid: number(116, 8),
      size: number(124, 12),
      mtime: BigInt(number(136, 12)) * 1_000_000_000n,
      linkname: field(block, 157, 100),
      uname: magic.startsWith("ustar") ? field(block, 265, 32) : "",
      gname: magic.startsWith("ustar") ? field(block, 297, 32) : "",
      major: device ? number(329, 8) : 0,
      minor: device ? number(337, 8) : 0,
      xattrs: noXattrs,
    },
  };
}

/** A ustar header. What does not fit is written as 0 or cut: the caller puts it into an extended header. */
export function encodeBlock(header: TarHeader, type: string, prefix = ""): Buffer {
  const block = Buffer.alloc(blockSize);
  block.write(header.name, 0, 100, "latin1");
  octal(block, 100, 8, header.mode);
  octal(block, 108, 8, header.uid);
  octal(block, 116, 8, header.gid);
  octal(block, 124, 12, header.size);
  octal(block, 136, 12, header.mtime < 0n ? 0 : Number(header.mtime / 1_000_000_000n));
  block.fill(0x20, 148, 156);
  block.write(type, 156, 1, "latin1");
  block.write(header.linkname, 157, 100, "latin1");
  block.write("ustar\x0000", 257, 8, "latin1");
  block.write(header.uname, 265, 31, "latin1");
  block.write(header.gname, 297, 31, "latin1");
  octal(block, 329, 8, header.major);
  octal(block, 337, 8, header.minor);
  block.write(prefix, 345, 155, "latin1");
  block.write(`${checksum(block).toString(8).padStart(6, "0")}\0 `, 148, 8, "latin1");
  return block;
}

/** The largest number of a field: one byte is its end. */
export function octalLimit(length: number): number {
  return 8 ** (length - 1) - 1;
}

function octal(block: Buffer, at: number, length: number, value: number): void {
  const fitting = value > octalLimit(length) ? 0 : value;
  block.write(fitting.toString(8).padStart(length - 1, "0"), at, length - 1, "latin1");
}

function isEntryType(kind: BlockKind): kind is TarEntryType {
  return kind !== "pax" && kind !== "pax-global" && kind !== "gnu-name" && kind !== "gnu-link" && kind !== "ignored";
}

function field(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at);
  return block.toString("latin1", at, end < 0 || end > at + length ? at + length : end);
}

function parseNumber(block: Buffer, at: number, length: number, offset: number): number {
  const first = block[at] ?? 0;
  const value = first & 0x80 ? parseBinary(block, at, length) : parseOctal(block.toString("latin1", at, at + length));
  if (!Number.isSafeInteger(value))
    throw new OciError("corrupt", `the tar header at byte ${offset} holds a bad number`, "The archive is damaged.");
  return value;
}

function parseOctal(text: string): number {
  const digits = /^[ \0]*([0-7]*)[ \0]*/.exec(text);
  return digits && digits[0].length === text.length ? Number.parseInt(digits[1] || "0", 8) : Number.NaN;
}

// GNU tar's form for large and negative numbers: two's complement, the first byte's top bit set as a mark.
function parseBinary(block: Buffer, at: number, length: number): number {
  const negative = ((block[at] ?? 0) & 0x40) !== 0;
  let value = negative ? -1n : 0n;
  for (let index = 0; index < length; index++) {
    const byte = block[at + index] ?? 0;
    value = (value << 8n) | BigInt(index === 0 ? (negative ? byte : byte & 0x7f) : byte);
  }
  return Number(value);
}

function checksum(block: Buffer): number {
  let sum = 0;
  for (let index = 0; index < blockSize; index++) sum += block[index] ?? 0;
  return sum;
}

function checksumFits(block: Buffer): boolean {
  const said = parseOctal(block.toString("latin1", 148, 156));
  let unsigned = 8 * 0x20;
  let signed = 8 * 0x20;
  for (let index = 0; index < blockSize; index++) {
    if (index >= 148 && index < 156) continue;
    const byte = block[index] ?? 0;
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256; // some old tars summed signed characters
  }
  return said === unsigned || said === signed;
}
