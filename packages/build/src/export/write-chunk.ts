import { addAbortListener } from "node:events";
import type { Writable } from "node:stream";

/**
 * Resolves when the output has taken the bytes. Rejects with its error, or with the signal's reason as soon as that is aborted: whoever reads the
 * output may not read at all.
 */
export function writeChunk(output: Writable, chunk: Uint8Array, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const listener = addAbortListener(signal, () => reject(signal.reason));
    output.write(chunk, (error) => {
      listener[Symbol.dispose]();
      if (error) reject(error);
      else resolve();
    });
  });
}
