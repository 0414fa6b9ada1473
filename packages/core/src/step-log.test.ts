import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { streamRedactor } from "./redaction.ts";
import { secretMatcher } from "./secret-matcher.ts";
import { lineReader, stepLog } from "./step-log.ts";

const encoder = new TextEncoder();
const decode = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

describe("stepLog", () => {
  test("keeps half of the limit from each end, to the byte", () => {
    const log = stepLog(10);
    log.append("abcdefgh");
    log.append("ijklm");
    expect(log.totalBytes).toBe(13);
    expect(log.omittedBytes).toBe(3);
    expect(decode(log.bytes())).toBe("abcde\n[melange2: 3 bytes of output left out here]\nijklm");
  });

  test("leaves nothing out at the limit itself", () => {
    const log = stepLog(10);
    log.append("0123456789");
    expect([log.totalBytes, log.omittedBytes, decode(log.bytes())]).toEqual([10, 0, "0123456789"]);
    log.append("!");
    expect([log.totalBytes, log.omittedBytes]).toEqual([11, 1]);
  });

  test("is empty without output", () => {
    const log = stepLog();
    expect([log.totalBytes, log.omittedBytes, log.bytes().length, log.lastLines(5)]).toEqual([0, 0, 0, []]);
  });

  test("holds head and tail of any output, however it comes", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: "grapheme", maxLength: 40 }), { maxLength: 40 }),
        fc.integer({ min: 0, max: 300 }),
        fc.boolean(),
        (pieces, limit, looks) => {
          const log = stepLog(limit);
          for (const piece of pieces) {
            log.append(piece);
            // Looking at it in between changes nothing.
            if (looks) log.bytes();
          }
          const whole = encoder.encode(pieces.join(""));
          const half = Math.floor(limit / 2);
          const omitted = Math.max(0, whole.length - 2 * half);
          expect(log.totalBytes).toBe(whole.length);
          expect(log.omittedBytes).toBe(omitted);
          const gap = omitted === 0 ? "" : `\n[melange2: ${omitted} bytes of output left out here]\n`;
          const head = Math.min(half, whole.length);
          expect([...log.bytes()]).toEqual([
            ...whole.subarray(0, head),
            ...encoder.encode(gap),
            ...whole.subarray(head + omitted),
          ]);
        },
      ),
    );
  });

  test("keeps 16 MiB unless told otherwise", () => {
    const log = stepLog();
    const piece = "x".repeat(1024 * 1024);
    for (let count = 0; count < 20; count += 1) log.append(piece);
    log.append("end");
    expect(log.omittedBytes).toBe(4 * 1024 * 1024 + 3);
    expect(decode(log.bytes().subarray(-4))).toBe("xend");
  });

  test("shows last lines without what a terminal would obey", () => {
    const log = stepLog();
    log.append("first\n\u001b[31mred\u001b[0m\r\n\u001b]0;title\u0007last");
    expect(log.lastLines(2)).toEqual(["red", "last"]);
    expect(log.lastLines(9)).toEqual(["first", "red", "last"]);
    expect(log.lastLines(0)).toEqual([]);
  });
});

function read(chunks: readonly Uint8Array[], needles: readonly string[] = []): readonly string[] {
  const lines: string[] = [];
  const reader = lineReader(streamRedactor(secretMatcher(needles)), (line) => lines.push(line));
  for (const chunk of chunks) reader.write(chunk);
  reader.end();
  return lines;
}

/** The bytes, cut at the given places. */
function cut(bytes: Uint8Array, places: readonly number[]): readonly Uint8Array[] {
  const borders = [0, ...[...places].map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return borders.slice(1).map((border, index) => bytes.subarray(borders[index], border));
}

describe("lineReader", () => {
  test("gives the same lines wherever the chunks are cut, multi-byte characters included", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom("a", "ü", "€", "😀", "\ufeff", "\r"), maxLength: 12 })),
        fc.array(fc.nat(), { maxLength: 30 }),
        (texts, places) => {
          const text = texts.join("\n");
          const expected = text === "" ? [] : text.split(/(?<=\n)/);
          expect(read(cut(encoder.encode(text), places))).toEqual(expected);
        },
      ),
    );
  });

  test("masks secrets wherever the chunks are cut", () => {
    // They overlap, contain each other, repeat themselves and span lines.
    const needles = ["secret\nof two lines", "secret-longer", "aabaab", "secret", "tail"];
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...needles, "s", "secret\nof", "aab", "ta", "ü", "\n", " ")),
        fc.array(fc.nat(), { maxLength: 30 }),
        (texts, places) => {
          const text = texts.join("");
          const masked = needles.reduce((rest, needle) => rest.replaceAll(needle, "***"), text);
          const shown = read(cut(encoder.encode(text), places), needles).join("");
          for (const needle of needles) expect(shown).not.toContain(needle);
          if (!/aabaab/.test(text)) expect(shown).toBe(masked);
        },
      ),
    );
  });

  test("holds back only what could become a secret", () => {
    const lines: string[] = [];
    const reader = lineReader(streamRedactor(secretMatcher(["secret\nof two lines"])), (line) => lines.push(line));
    reader.write(encoder.encode("plain\nse"));
    expect(lines).toEqual(["plain\n"]);
    reader.write(encoder.encode("t up\nsecret\n"));
    expect(lines).toEqual(["plain\n", "set up\n"]);
    reader.write(encoder.encode("of one\n"));
    expect(lines).toEqual(["plain\n", "set up\n", "secret\n", "of one\n"]);
  });

  test("gives a line beyond 256 KiB in pieces, whole characters and no secret in them", () => {
    const text = `${"😀".repeat(100_000)}secret${"x".repeat(300_000)}secret`;
    const bytes = encoder.encode(text);
    for (const size of [4093, 65_536, bytes.length]) {
      const places = Array.from({ length: Math.floor(bytes.length / size) }, (_, index) => (index + 1) * size);
      const pieces = read(cut(bytes, places), ["secret"]);
      expect(pieces.join("")).toBe(text.replaceAll("secret", "***"));
      for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
      if (size < bytes.length) expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(400_000);
    }
  });

  test("finds a secret at every place around the border of a long line's pieces", () => {
    for (let shift = -8; shift <= 8; shift += 1) {
      const text = `${"x".repeat(256 * 1024 + shift)}secret${"y".repeat(300_000)}`;
      const shown = read(cut(encoder.encode(text), [256 * 1024, 256 * 1024 + 3]), ["secret"]).join("");
      expect(shown).toBe(text.replace("secret", "***"));
    }
  });

  test("shows bytes that are no UTF-8 as U+FFFD", () => {
    expect(read([Uint8Array.of(0x61, 0xff, 0x62), Uint8Array.of(0xe2, 0x82)])).toEqual(["a\ufffdb\ufffd"]);
  });
});
