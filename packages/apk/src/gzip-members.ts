import zlib from "node:zlib";
import { ApkError } from "./error.ts";

// Index and package files are gzip members in a row, and each member means something else. Decompressors read them as one stream; here
// their borders matter, since checksums and signatures are over compressed members.

/** One gzip member of a file in memory. */
export interface GzipMember {
  /** Where it begins and ends in the file, in bytes. */
  readonly start: number;
  readonly end: number;
  readonly content: Buffer;
}

export interface MemberOptions {
  /** Bytes that all contents may have together. */
  readonly limit: number;
  /** How to call the file in errors. */
  readonly what: string;
}

/** All members of a file. Throws `index` for what is no gzip or damaged, `limit` for too much. */
export function gzipMembers(file: Uint8Array, options: MemberOptions): GzipMember[] {
  const members: GzipMember[] = [];
  let left = options.limit;
  for (let start = 0; start < file.length || members.length === 0; ) {
    const member = memberAt(file, start, left, options);
    members.push(member);
    left -= member.content.length;
    start = member.end;
  }
  return members;
}

/** The member that begins at `start`. Throws as {@link gzipMembers} does, also where the bytes end within the member. */
export function memberAt(file: Uint8Array, start: number, left: number, { what, limit }: MemberOptions): GzipMember {
  const damaged = (why: string, cause?: unknown) =>
    new ApkError("index", `${what} is damaged: ${why}`, { hint: damagedHint, cause });
  const head = gzipHeaderLength(file.subarray(start));
  if (head === undefined) throw damaged(`no gzip member begins at byte ${start}`);
  try {
    const { buffer, engine } = inflate(file.subarray(start + head), left + 1);
    if (buffer.length > left) throw tooLarge(what, limit);
    const end = start + head + engine.bytesWritten + trailerLength;
    if (end > file.length) throw damaged("it ends within a gzip member");
    if (!trailerMatches(file.subarray(end - trailerLength, end), zlib.crc32(buffer), buffer.length))
      throw damaged(`the gzip member at byte ${start} does not have its checksum`);
    return { start, end, content: buffer };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(what, limit);
    if (error instanceof ApkError) throw error;
    throw damaged(`the gzip member at byte ${start} cannot be decompressed`, error);
  }
}

/** With `info`, zlib also tells how many bytes the compressed data had, whatever follows it. */
function inflate(bytes: Uint8Array, maxOutputLength: number): { buffer: Buffer; engine: { bytesWritten: number } } {
  const options = { info: true, maxOutputLength, chunkSize: 256 << 10 };
  return zlib.inflateRawSync(bytes, options) as unknown as ReturnType<typeof inflate>;
}

/** CRC and size behind the compressed bytes. */
const trailerLength = 8;

function trailerMatches(trailer: Uint8Array, checksum: number, size: number): boolean {
  const view = new DataView(trailer.buffer, trailer.byteOffset, trailerLength);
  return view.getUint32(0, true) === checksum && view.getUint32(4, true) === size % 2 ** 32;
}

/** How long a gzip header at the beginning of `bytes` is; undefined where there is none, or where it does not end within them. */
function gzipHeaderLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < 10 || bytes[0] !== 0x1f || bytes[1] !== 0x8b || bytes[2] !== 8) return undefined;
  const flags = bytes[3] ?? 0;
  let length: number | undefined = 10;
  if (flags & 4) length = 12 + (bytes[10] ?? 0) + (bytes[11] ?? 0) * 256;
  if (flags & 8) length = behindText(bytes, length);
  if (flags & 16) length = behindText(bytes, length);
  if (flags & 2 && length !== undefined) length += 2;
  return length !== undefined && length <= bytes.length && (flags & 0xe0) === 0 ? length : undefined;
}

function behindText(bytes: Uint8Array, from: number | undefined): number | undefined {
  const end = from === undefined ? -1 : bytes.indexOf(0, from);
  return end < 0 ? undefined : end + 1;
}

function tooLarge(what: string, limit: number): ApkError {
  return new ApkError("limit", `${what} unpacks to more than ${limit} bytes`, {
    hint: "Nobody's index is that large: ask whoever publishes the repository.",
  });
}

const damagedHint = "Fetch it again, or ask whoever publishes the repository.";
