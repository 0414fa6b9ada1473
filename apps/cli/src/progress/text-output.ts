import { writeSync } from "node:fs";

/** Text for whoever reads the progress. */
export interface TextOutput {
  write(text: string): void;
  /** Leaves what the reader has not taken yet to the stream, before anything that is written to it later. */
  end(): void;
}

/** In one turn of the event loop a chatty step brings a hundred thousand lines: they go in pieces of this many characters. */
const pieceLength = 64 * 1024;
/** Bytes that may wait for a reader. With more, everything waits, for a moment in each turn of the event loop. */
const longestQueue = 8 * 1024 * 1024;
/** A reader may take its time, as `less` does; meanwhile this process has to answer others, such as a daemon that asks whether it lives. */
const longestWaitMs = 500;
const retryMs = 10;

/**
 * Writes to a stream's file as far as its reader takes it. The stream itself takes everything at once, so that a step that says more than a pipe's
 * reader can follow would fill the memory.
 */
export function textOutput(stream: NodeJS.WritableStream & { readonly fd: number }): TextOutput {
  const clock = new Int32Array(new SharedArrayBuffer(4));
  let held = "";
  let queue: Uint8Array[] = [];
  let queued = 0;
  let retry: NodeJS.Timeout | undefined;
  let lost = false;
  /** Milliseconds, in this turn of the event loop. */
  let waited = 0;
  const endTurn = () => {
    waited = 0;
  };

  function drain(): void {
    try {
      for (let first = queue[0]; first !== undefined; first = queue[0]) {
        const written = writeSync(stream.fd, first);
        queued -= written;
        if (written < first.length) queue[0] = first.subarray(written);
        else queue.shift();
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return;
      // A reader that went away ends the output, not the program.
      lost = true;
      queue = [];
      queued = 0;
    }
  }

  function send(): void {
    if (held !== "" && !lost) {
      const piece = Buffer.from(held);
      queue.push(piece);
      queued += piece.length;
    }
    held = "";
    drain();
    for (; queued > longestQueue && waited < longestWaitMs; drain()) {
      if (waited === 0) setImmediate(endTurn);
      Atomics.wait(clock, 0, 0, retryMs);
      waited += retryMs;
    }
    if (queued === 0) return;
    retry ??= setTimeout(() => {
      retry = undefined;
      send();
    }, retryMs);
  }

  return {
    write(text) {
      if (held === "") queueMicrotask(send);
      held += text;
      if (held.length >= pieceLength) send();
    },
    end() {
      send();
      clearTimeout(retry);
      retry = undefined;
      for (const piece of queue) stream.write(piece);
      queue = [];
      queued = 0;
    },
  };
}
