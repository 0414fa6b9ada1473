import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { MelangeError } from "@melange2/core";

/** Bytes. */
const longest = 4 * 1024 * 1024;
const milliseconds = 20;

/**
 * The text of a variables file: a file, or a pipe that another program writes, as a shell's `<(…)` is. Never waits where nobody writes.
 * Rejects with code `usage`.
 */
export async function readEnvFileText(file: string, signal?: AbortSignal): Promise<string> {
  try {
    // Opening a FIFO would wait for a writer otherwise, and nothing could end the wait.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const about = await handle.stat();
    if (!about.isFile() && !about.isFIFO()) throw refused(file, "it is neither a file nor a pipe");
    const bytes = await readAll(handle, file, signal);
    if (bytes.length === 0 && about.isFIFO()) throw refused(file, "nobody writes to this pipe");
    return text(bytes, file);
  } catch (cause) {
    if (cause instanceof MelangeError || signal?.aborted) throw cause;
    throw refused(file, (cause as Error).message, cause);
  }
}

async function readAll(handle: FileHandle, file: string, signal: AbortSignal | undefined): Promise<Buffer> {
  const bytes = Buffer.alloc(longest + 1);
  let length = 0;
  for (;;) {
    signal?.throwIfAborted();
    const read = await readSome(handle, bytes, length);
    if (read === undefined) await delay(milliseconds, undefined, { signal });
    else if (read === 0) return bytes.subarray(0, length);
    else length += read;
    if (length > longest) throw refused(file, `it is longer than ${longest / 1024 / 1024} MiB`);
  }
}

/** Bytes read; undefined where the writer has not written yet. */
async function readSome(handle: FileHandle, bytes: Buffer, at: number): Promise<number | undefined> {
  try {
    return (await handle.read(bytes, at, bytes.length - at)).bytesRead;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return undefined;
    throw error;
  }
}

function text(bytes: Buffer, file: string): string {
  let read: string;
  try {
    read = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw refused(file, "it is not UTF-8", cause);
  }
  if (read.includes("\0")) throw refused(file, "it holds a NUL character, which no variable can");
  return read;
}

function refused(file: string, why: string, cause?: unknown): MelangeError {
  return new MelangeError("usage", `variables file ${file} cannot be read: ${why}`, {
    hint: "Give a text file with lines of the form NAME=VALUE.",
    cause,
  });
}
