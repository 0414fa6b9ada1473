import { type Duplex, Readable } from "node:stream";
import { promisify } from "node:util";
import zlib from "node:zlib";
import type { Bytes } from "./bytes.ts";
import { OciError } from "./error.ts";
import type { Compression } from "./media-type.ts";

const member = 1 << 20;
const inFlight = 4;

export interface CompressOptions {
  /** gzip 1 to 9, zstd 1 to 19. Default 1: a debug image is read a few times at most. */
  readonly level?: number;
}

/**
 * Compresses in pieces of 1 MiB, some at the same time: gzip members or zstd frames in a row, which every decompressor reads as one stream.
 * The same bytes in give the same bytes out, on one version of Node; chunk borders do not matter.
 */
export function compress(bytes: Bytes, compression: Compression, options: CompressOptions = {}): Bytes {
  const level = options.level ?? 1;
  if (compression === "none") return bytes;
  if (compression === "gzip") return inParallel(bytes, async (piece) => anonymousGzip(await gzip(piece, { level })));
  const zstd = zstdCompress();
  const params = { [zlib.constants.ZSTD_c_compressionLevel]: level, [zlib.constants.ZSTD_c_checksumFlag]: 1 };
  return inParallel(bytes, (piece) => zstd(piece, { params }));
}

/** The compression that a stream's first bytes show; "none" for everything else. xz and bzip2 are named for messages only. */
export function detectCompression(head: Uint8Array): Compression | "xz" | "bzip2" {
  const starts = (...magic: readonly number[]) => magic.every((byte, index) => head[index] === byte);
  if (starts(0x1f, 0x8b, 0x08)) return "gzip";
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return "zstd";
  // A zstd stream may begin with a skippable frame.
  if (head.length >= 4 && ((head[0] ?? 0) & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18)
    return "zstd";
  if (starts(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00)) return "xz";
  if (starts(0x42, 0x5a, 0x68)) return "bzip2";
  return "none";
}

/** Gzip, zstd or plain bytes, told apart by their beginning, as plain bytes. Rejects with `corrupt` or `truncated`; `unsupported` for xz and bzip2. */
export async function* decompress(bytes: Bytes): Bytes {
  const { head, all } = await peek(bytes, 6);
  const found = detectCompression(head);
  if (found === "none") yield* all;
  else if (found === "gzip") yield* through(all, zlib.createGunzip({ chunkSize: 256 << 10 }), found);
  else if (found === "zstd") yield* through(all, zstdDecompressor(), found);
  else {
    await all[Symbol.asyncIterator]().return?.();
    throw new OciError("unsupported", `the content is compressed with ${found}`, "Use gzip, zstd or no compression.");
  }
}

/** The first bytes of a stream (fewer only if it is shorter), and the whole stream still to be read. */
export async function peek(bytes: Bytes, length: number): Promise<{ readonly head: Uint8Array; readonly all: Bytes }> {
  const iterator = bytes[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size < length) {
    const next = await iterator.next();
    if (next.done) break;
    chunks.push(next.value);
    size += next.value.length;
  }
  async function* again(): Bytes {
    let ended = false;
    try {
      yield* chunks;
      for (;;) {
        const next = await iterator.next();
        ended = next.done === true;
        if (next.done) return;
        yield next.value;
      }
    } finally {
      if (!ended) await iterator.return?.();
    }
  }
  return { head: Buffer.concat(chunks).subarray(0, length), all: again() };
}

const gzip = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.gzip);

// Node 22 before 22.15 has no zstd: gzip and plain layers still work there.
function zstdCompress(): (input: Uint8Array, options: zlib.ZstdOptions) => Promise<Buffer> {
  if (!zlib.zstdCompress) throw noZstd();
  return promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdCompress);
}

function zstdDecompressor(): Duplex {
  if (!zlib.createZstdDecompress) throw noZstd();
  return zlib.createZstdDecompress({ chunkSize: 256 << 10 });
}

function noZstd(): OciError {
  return new OciError("unsupported", `Node ${process.versions.node} has no zstd`, "Use Node 22.15 or newer, or gzip.");
}

// Byte 9 names the operating system that zlib was built for; 255 is "unknown", the same on all of them.
function anonymousGzip(compressed: Buffer): Buffer {
  compressed[9] = 255;
  return compressed;
}

async function* inParallel(bytes: Bytes, compressPiece: (piece: Uint8Array) => Promise<Uint8Array>): Bytes {
  const running: Promise<Uint8Array>[] = [];
  const start = (piece: Uint8Array) => {
    const done = compressPiece(piece);
    done.catch(() => {}); // awaited in order below
    running.push(done);
  };
  try {
    let started = false;
    for await (const piece of pieces(bytes)) {
      started = true;
      start(piece);
      if (running.length >= inFlight) yield await (running.shift() as Promise<Uint8Array>);
    }
    if (!started) start(new Uint8Array(0));
    while (running.length > 0) yield await (running.shift() as Promise<Uint8Array>);
  } finally {
    await Promise.allSettled(running);
  }
}

/** The same bytes in pieces of exactly one member's size, but for the last. */
async function* pieces(bytes: Bytes): Bytes {
  let buffer = Buffer.allocUnsafeSlow(member);
  let filled = 0;
  for await (const chunk of bytes) {
    let at = 0;
    while (at < chunk.length) {
      const part = chunk.subarray(at, at + member - filled);
      buffer.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < member) continue;
      yield buffer;
      buffer = Buffer.allocUnsafeSlow(member);
      filled = 0;
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled);
}

async function* through(bytes: Bytes, transform: Duplex, name: string): Bytes {
  const source = Readable.from(bytes, { objectMode: false });
  let sourceError: unknown;
  source.on("error", (error) => {
    sourceError = error;
    transform.destroy(error);
  });
  source.pipe(transform);
  try {
    for await (const chunk of transform) yield chunk as Uint8Array;
  } catch (error) {
    throw sourceError ?? translate(error, name);
  } finally {
    transform.destroy();
    source.destroy();
  }
}

function translate(error: unknown, name: string): unknown {
  const { code, message } = error as { code?: string; message?: string };
  if (code === "Z_BUF_ERROR" || /unexpected end/i.test(message ?? ""))
    return new OciError("truncated", `the ${name} data ends too early`, "Make or fetch the file again.", error);
  if (code?.startsWith("Z_") || code?.startsWith("ZSTD_") || code?.startsWith("ERR_ZSTD"))
    return new OciError("corrupt", `the ${name} data is damaged: ${message}`, "Make or fetch the file again.", error);
  return error;
}
