import { printable, type StreamRedactor } from "./redaction.ts";

/** A step's output as kept: UTF-8 text without secrets, the middle left out where there was too much, cut at bytes. */
export interface StepLog {
  /** Bytes of the whole text, before anything was left out. */
  readonly totalBytes: number;
  /** Bytes missing between head and tail, 0 where the log is whole. */
  readonly omittedBytes: number;
  /** Head, a line that says what is missing, tail. */
  bytes(): Uint8Array;
  /** The last lines, of the last 64 KiB at most, fit to be shown: without terminal escapes and control characters. */
  lastLines(count: number): readonly string[];
}

export interface StepLogWriter extends StepLog {
  append(text: string): void;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Small pieces are gathered up to this many characters: an array for each line would cost more than the text. */
const gathered = 64 * 1024;

/** Keeps at most `limit` bytes, half from the beginning, half from the end. */
export function stepLog(limit = 16 * 1024 * 1024): StepLogWriter {
  const half = Math.floor(limit / 2);
  const head: Uint8Array[] = [];
  let headBytes = 0;
  let tail: Uint8Array[] = [];
  let tailBytes = 0;
  let totalBytes = 0;
  let pending = "";

  function flush(): void {
    const chunk = encoder.encode(pending);
    pending = "";
    totalBytes += chunk.length;
    const room = half - headBytes;
    if (room > 0) {
      head.push(chunk.subarray(0, room));
      headBytes += Math.min(room, chunk.length);
    }
    if (chunk.length > room) keepTail(chunk.subarray(room));
  }

  function keepTail(chunk: Uint8Array): void {
    tail.push(chunk);
    tailBytes += chunk.length;
    if (tailBytes < half * 2) return;
    const joined = concatenate(tail);
    tail = [joined.slice(joined.length - half)];
    tailBytes = half;
  }

  function keptTail(): Uint8Array {
    const joined = concatenate(tail);
    return joined.length > half ? joined.subarray(joined.length - half) : joined;
  }

  const log: StepLogWriter = {
    append(text) {
      pending += text;
      if (pending.length >= gathered) flush();
    },
    get totalBytes() {
      flush();
      return totalBytes;
    },
    get omittedBytes() {
      flush();
      return totalBytes - headBytes - Math.min(tailBytes, half);
    },
    bytes() {
      flush();
      const end = keptTail();
      const omitted = totalBytes - headBytes - end.length;
      const gap = omitted === 0 ? [] : [encoder.encode(`\n[melange2: ${omitted} bytes of output left out here]\n`)];
      return concatenate([...head, ...gap, end]);
    },
    lastLines(count) {
      const bytes = log.bytes();
      const lines = decoder.decode(bytes.subarray(Math.max(0, bytes.length - 64 * 1024))).split("\n");
      if (lines.at(-1) === "") lines.pop();
      return lines.slice(Math.max(0, lines.length - count)).map(printable);
    },
  };
  return log;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}

const longestLine = 256 * 1024;

/**
 * Turns a byte stream into whole lines of redacted text, each with its newline but perhaps the last. A line beyond 256 KiB
 * comes in pieces. Bytes that are no UTF-8 become U+FFFD.
 */
export function lineReader(redactor: StreamRedactor, emit: (line: string) => void) {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let line = "";
  function take(text: string): void {
    const parts = text.split(/(?<=\n)/);
    for (const part of parts) {
      line += part;
      if (!part.endsWith("\n") && line.length <= longestLine) continue;
      emit(line);
      line = "";
    }
  }
  return {
    write(chunk: Uint8Array): void {
      take(redactor.write(decoder.decode(chunk, { stream: true })));
    },
    end(): void {
      take(redactor.write(decoder.decode()) + redactor.end());
      if (line !== "") emit(line);
      line = "";
    },
  };
}
