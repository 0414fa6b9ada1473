import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { type FileHandle, stat } from "node:fs/promises";
import { setImmediate as othersTurn } from "node:timers/promises";
import { copyInThread } from "./copy-in-thread.ts";

/** Writes a large file from its beginning to its end. One call at a time. */
export interface FileWriter {
  write(chunk: Uint8Array): Promise<void>;
  /** Appends another file, which does not change meanwhile; `see` is called with each piece, to look at during the call only. */
  appendFile(path: string, see: (piece: Uint8Array) => void): Promise<void>;
  /** Resolves when everything is on the disk. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Takes over the handle of an empty file. */
export function fileWriter(handle: FileHandle): FileWriter {
  const disk = headStart(handle);
  let closed = false;
  return {
    async write(chunk) {
      for (let done = 0; done < chunk.length; ) done += (await handle.write(chunk, done)).bytesWritten;
      disk.given(chunk.length);
    },
    async appendFile(path, see) {
      const { size } = await stat(path);
      if (size < worthAThread)
        return readPieces(path, (piece) => {
          see(piece);
          for (let done = 0; done < piece.length; ) done += writeSync(handle.fd, piece, done);
          disk.given(piece.length);
        });
      await using copy = copyInThread({ from: path, to: handle.fd });
      await readPieces(path, (piece) => {
        see(piece);
        disk.given(piece.length);
      });
      await copy.finished;
    },
    async sync() {
      await disk.ended();
      await handle.sync();
    },
    async close() {
      if (closed) return;
      closed = true;
      await disk.ended().catch(() => {});
      await handle.close();
    },
  };
}

/** Looking at this many bytes takes longer than starting a thread that copies them meanwhile. */
const worthAThread = 64 * 1024 * 1024;

/**
 * One small buffer that stays in the processor's cache, read and used synchronously: fresh memory for each piece, or a thread's help for each
 * call, costs more than the copying. Between two pieces others get their turn, so an interrupt is heard.
 */
async function readPieces(path: string, use: (piece: Uint8Array) => void): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(256 * 1024);
  const source = openSync(path, "r");
  try {
    for (;;) {
      const length = readSync(source, buffer);
      if (length === 0) return;
      use(buffer.subarray(0, length));
      await othersTurn();
    }
  } finally {
    closeSync(source);
  }
}

/** Has the disk begin with what it was given while more is coming, so that little is left to wait for at the end. */
function headStart(handle: FileHandle) {
  let waiting = 0;
  let writing: Promise<void> | undefined;
  const failures: unknown[] = [];
  return {
    given(bytes: number): void {
      waiting += bytes;
      if (waiting < 64 * 1024 * 1024 || writing) return;
      waiting = 0;
      writing = handle
        .datasync()
        .catch((error: unknown) => void failures.push(error))
        .finally(() => {
          writing = undefined;
        });
    },
    /** Rejects with what the disk has reported: the system tells it once, so a later sync would know nothing of it. */
    async ended(): Promise<void> {
      await writing;
      if (failures.length > 0) throw failures[0];
    },
  };
}
