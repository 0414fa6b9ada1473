import type { Redact } from "./redaction.ts";

/** A step's output as kept: UTF-8 text without secrets, at most `limit` bytes, the middle left out where there was more. */
export interface StepLog {
  /** All bytes the step wrote, before anything was left out. */
  readonly totalBytes: number;
  /** Bytes missing between head and tail, 0 where the log is whole. */
  readonly omittedBytes: number;
  /** Head, a line that says what is missing, tail. */
  bytes(): Uint8Array;
  /** The last lines, fit to be shown: without terminal escapes and control characters. */
  lastLines(count: number): readonly string[];
}

export interface StepLogWriter extends StepLog {
  append(text: string): void;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Half of the limit is kept from the beginning, half from the end. */
export function stepLog(limit = 16 * 1024 * 1024): StepLogWriter {
  const half = Math.floor(limit / 2);
  const head: Uint8Array[] = [];
  let headBytes = 0;
  let tail: Uint8Array[] = [];
  let tailBytes = 0;
  let totalBytes = 0;

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
      const chunk = encoder.encode(text);
      totalBytes += chunk.length;
      const room = half - headBytes;
      if (room > 0) {
        head.push(chunk.subarray(0, room));
        headBytes += Math.min(room, chunk.length);
      }
      if (chunk.length > room) keepTail(chunk.subarray(Math.max(room, 0)));
    },
    get totalBytes() {
      return totalBytes;
    },
    get omittedBytes() {
      return totalBytes - headBytes - keptTail().length;
    },
    bytes() {
      const end = keptTail();
      const omitted = totalBytes - headBytes - end.length;
      const gap = omitted === 0 ? [] : [encoder.encode(`\n[melange2: ${omitted} bytes of output left out here]\n`)];
      return concatenate([...head, ...gap, end]);
    },
    lastLines(count) {
      const bytes = log.bytes();
      const lines = decoder.decode(bytes.subarray(Math.max(0, bytes.length - 64 * 1024))).split("\n");
      if (lines.at(-1) === "") lines.pop();
      return lines.slice(-count);
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
 * Turns a byte stream into whole lines of redacted text, each with its newline but perhaps the last. A line beyond 256 KiB comes in
 * pieces; what could be the beginning of a secret is held back until the piece after it.
 */
export function lineReader(redact: Redact, holdBack: number, emit: (line: string) => void) {
  const text = new TextDecoder();
  let rest = "";
  function take(more: string): void {
    rest += more;
    const end = rest.lastIndexOf("\n");
    if (end >= 0) {
      const lines = redact(rest.slice(0, end + 1));
      rest = rest.slice(end + 1);
      for (const line of lines.split(/(?<=\n)/)) emit(line);
    }
    while (rest.length > longestLine) {
      const safe = redact(rest);
      const cut = safe.length - holdBack;
      if (cut <= 0) break;
      emit(safe.slice(0, cut));
      rest = safe.slice(cut);
    }
  }
  return {
    write(chunk: Uint8Array): void {
      take(text.decode(chunk, { stream: true }));
    },
    end(): void {
      take(text.decode());
      if (rest !== "") emit(redact(rest));
      rest = "";
    },
  };
}
