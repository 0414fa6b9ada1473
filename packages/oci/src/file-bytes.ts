import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import type { Bytes } from "./bytes.ts";

const piece = 1 << 20;

/** A file's bytes, or `length` of them from `start` on; fewer where the file ends. Reads ahead by one piece. */
export async function* readFileBytes(
  path: string,
  range: { readonly start: number; readonly length: number } = whole,
): Bytes {
  const handle = await open(path);
  let pending: Promise<Uint8Array> | undefined;
  try {
    let position = range.start;
    const end = range.start + range.length;
    const read = async (): Promise<Uint8Array> => {
      const buffer = Buffer.allocUnsafeSlow(Math.min(piece, end - position));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
      position += bytesRead;
      return buffer.subarray(0, bytesRead);
    };
    pending = read();
    for (;;) {
      const chunk = await pending;
      if (chunk.length === 0) return;
      pending = read();
      pending.catch(() => {}); // awaited in the next round, or by the clean-up when the reader stops early
      yield chunk;
    }
  } finally {
    await pending?.catch(() => {});
    await handle.close();
  }
}

const whole = { start: 0, length: Number.MAX_SAFE_INTEGER };

/**
 * Writes a file that is there whole or not at all: a random name beside it, then a rename over `path`. Nothing is left behind on an error.
 * Not synced to disk: whoever needs that to survive a power failure does it.
 */
export async function writeFileAtomically(path: string, bytes: Bytes, mode = 0o600): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  const handle = await open(temporary, "wx", mode);
  try {
    try {
      await writeAll(handle, bytes);
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw namingPath(error, path);
  }
}

/** The same error; what the system says of a write that failed names no path, and gets it here. */
function namingPath(error: unknown, path: string): unknown {
  const failed = error as NodeJS.ErrnoException;
  if (!(error instanceof Error) || failed.syscall === undefined || failed.path !== undefined) return error;
  failed.path = path;
  failed.message += ` '${path}'`;
  return failed;
}

/** Appends all bytes, small chunks gathered, one write under way while the next is gathered. */
export async function writeAll(handle: FileHandle, bytes: Bytes): Promise<void> {
  let pending: Promise<unknown> = Promise.resolve();
  let chunks: Uint8Array[] = [];
  let size = 0;
  const flush = async (): Promise<void> => {
    await pending;
    pending = writeWhole(handle, chunks, size);
    pending.catch(() => {}); // awaited before the next write and at the end
    chunks = [];
    size = 0;
  };
  try {
    for await (const chunk of bytes) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= piece || chunks.length >= 512) await flush();
    }
    await flush();
  } finally {
    await pending;
  }
}

async function writeWhole(handle: FileHandle, chunks: readonly Uint8Array[], size: number): Promise<void> {
  if (size === 0) return;
  const { bytesWritten } = await handle.writev(chunks as Uint8Array[]);
  if (bytesWritten === size) return;
  // A short write, as on a full disk or a pipe: the rest again, until it is out or fails.
  const rest = Buffer.concat(chunks).subarray(bytesWritten);
  for (let at = 0; at < rest.length; ) at += (await handle.write(rest, at, rest.length - at)).bytesWritten;
}
