import { printable, type StreamRedactor } from "./redaction.ts";

/** A step's output as kept: UTF-8 text without secrets, the middle left out where there was too much, cut at bytes. */
export interface StepLog {
  /** Bytes of the whole text, before anything was left out. */
  readonly totalBytes: number;
  /** Bytes missing between head and tail, 0 where the log is whole. */
  readonly omittedBytes: number;
  /** Head, a line that says what is missing, tail. The same bytes for all who ask: nobody changes them. */
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
  const tail = lastBytes(half);
  let totalBytes = 0;
  let pending = "";
  let whole: Uint8Array | undefined;

  function flush(): void {
    if (pending === "") return;
    const chunk = encoder.encode(pending);
    pending = "";
    whole = undefined;
    totalBytes += chunk.length;
    const room = half - headBytes;
    if (room > 0) {
      head.push(chunk.subarray(0, room));
      headBytes += Math.min(room, chunk.length);
    }
    if (chunk.length > room) tail.append(chunk.subarray(room));
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
      return totalBytes - headBytes - tail.length;
    },
    bytes() {
      const { omittedBytes } = log;
      const gap =
        omittedBytes === 0 ? [] : [encoder.encode(`\n[melange2: ${omittedBytes} bytes of output left out here]\n`)];
      whole ??= concatenate([...head, ...gap, ...tail.pieces()]);
      return whole;
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

/** The last bytes of a stream, in memory that is used again and again: what is dropped piece by piece is given back late. */
function lastBytes(limit: number) {
  let ring = new Uint8Array();
  /** Where the next byte goes. */
  let next = 0;
  let length = 0;
  return {
    get length() {
      return length;
    },
    append(chunk: Uint8Array): void {
      if (ring.length === 0) ring = new Uint8Array(limit);
      const kept = chunk.subarray(Math.max(0, chunk.length - limit));
      const first = kept.subarray(0, limit - next);
      ring.set(first, next);
      ring.set(kept.subarray(first.length));
      next = limit === 0 ? 0 : (next + kept.length) % limit;
      length = Math.min(limit, length + kept.length);
    },
    /** In order. */
    pieces: (): readonly Uint8Array[] =>
      length < limit ? [ring.subarray(0, length)] : [ring.subarray(next), ring.subarray(0, next)],
  };
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
/** Bytes: the lines of a large chunk, all in memory at once, would be many times its size. */
const readAtOnce = 64 * 1024;

/**
 * Turns a byte stream into whole lines of redacted text, each with its newline but perhaps the last. A line beyond 256 KiB
 * comes in pieces. Bytes that are no UTF-8 become U+FFFD.
 */
export function lineReader(redactor: StreamRedactor, emit: (line: string) => void) {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let line = "";
  function take(text: string): void {
    for (let start = 0; start < text.length; ) {
      const newline = text.indexOf("\n", start);
      const end = newline < 0 ? text.length : newline + 1;
      line += text.slice(start, end);
      start = end;
      if (newline < 0 && line.length <= longestLine) continue;
      emit(line);
      line = "";
    }
  }
  return {
    write(chunk: Uint8Array): void {
      for (let start = 0; start < chunk.length; start += readAtOnce) {
        const piece = chunk.subarray(start, start + readAtOnce);
        take(redactor.write(decoder.decode(piece, { stream: true })));
      }
    },
    end(): void {
      take(redactor.write(decoder.decode()) + redactor.end());
      if (line !== "") emit(line);
      line = "";
    },
  };
}
