import { secretPieces } from "./secret-pieces.ts";

/** What a pattern says of bytes that go against it, and of bytes that end before it does. */
export const none = -1;
export const open = -2;

/** One form of a secret. */
export interface Pattern {
  /** Bytes with which it may begin, and for each those that may follow. */
  readonly beginnings: readonly (readonly [first: number, seconds: readonly number[]])[];
  /** Bytes that a match may span. */
  readonly longest: number;
  /** Where the match that begins at `at` ends; `none`, or `open` where the bytes end first. `complete`: nothing follows them. */
  match(bytes: Uint8Array, at: number, complete: boolean): number;
}

const encoder = new TextEncoder();
const code = (letter: string): number => letter.charCodeAt(0);
const bytesOf = (text: string): Uint8Array => encoder.encode(text);

/** Between two characters of a secret stand no more bytes than this that show nothing. */
const longestGap = 256;

/** Blanks that may stand before a line of base64. */
export const longestIndent = 64;

/** Fewest base64 characters that are looked for. */
const shortestBase64 = 6;

/**
 * The forms of a secret: as text, each character as it is, percent-encoded in any dialect and letter case, or escaped as JSON and shells do, with
 * control characters and terminal escapes between (so in UTF-16 too); in base64 and base64url at each of the three alignments, and in hex, both
 * also broken over lines.
 */
export function patternsOf(value: string): readonly Pattern[] {
  return secretPieces(value).flatMap((piece) => {
    const bytes = bytesOf(piece);
    return [textPattern(bytes), ...wideTexts(piece).map(exactPattern), ...base64Patterns(bytes), hexPattern(bytes)];
  });
}

// --- what shows nothing -------------------------------------------------------------------------------------------------------

const escapeByte = 0x1b;
const newline = 0x0a;

const isControl = (byte: number): boolean => (byte < 0x20 && byte !== newline) || byte === 0x7f;

/** Behind control characters and terminal escapes from `at` on; `open` where an escape is not over. A newline is none of them. */
function behindGap(bytes: Uint8Array, at: number): number {
  let next = at;
  for (;;) {
    const byte = bytes[next];
    if (byte === undefined || next - at > longestGap) return next;
    if (byte === escapeByte) {
      next = behindEscape(bytes, next + 1);
      if (next === open) return open;
    } else if (isControl(byte)) next += 1;
    else if (byte === 0xc2 && (bytes[next + 1] ?? 0) >= 0x80 && (bytes[next + 1] ?? 0) < 0xa0)
      // A C1 character in UTF-8; 0x9b begins a control sequence.
      next = bytes[next + 1] === 0x9b ? behindSequence(bytes, next + 2) : next + 2;
    else return next;
    if (next === open) return open;
  }
}

/** `at`: behind the escape character. */
function behindEscape(bytes: Uint8Array, at: number): number {
  const kind = bytes[at];
  if (kind === undefined) return open;
  if (kind === code("[")) return behindSequence(bytes, at + 1);
  if (kind === code("]") || kind === code("P") || kind === code("X") || kind === code("^") || kind === code("_"))
    return behindString(bytes, at + 1);
  let next = at;
  while ((bytes[next] ?? 0) >= 0x20 && (bytes[next] ?? 0) <= 0x2f) next += 1;
  return next >= bytes.length ? open : next + 1;
}

function behindSequence(bytes: Uint8Array, at: number): number {
  let next = at;
  while ((bytes[next] ?? 0) >= 0x20 && (bytes[next] ?? 0) <= 0x3f) next += 1;
  return next >= bytes.length ? open : next + 1;
}

function behindString(bytes: Uint8Array, at: number): number {
  for (let next = at; next < bytes.length && next - at <= longestGap; next++) {
    if (bytes[next] === 0x07) return next + 1;
    if (bytes[next] === escapeByte) return next + 2;
    if (bytes[next] === newline) return at;
  }
  return bytes.length - at > longestGap ? at : open;
}

const gapBytes: readonly number[] = [...Array.from({ length: 0x20 }, (_, byte) => byte), 0x7f, 0xc2];

// --- text -----------------------------------------------------------------------------------------------------------------------

const hexValues = new Int8Array(256).fill(-1);
for (let digit = 0; digit < 16; digit++)
  for (const letter of [digit.toString(16), digit.toString(16).toUpperCase()]) hexValues[code(letter)] = digit;

const hexAt = (bytes: Uint8Array, at: number): number => hexValues[bytes[at] ?? 0] as number;
const byteAt = (bytes: Uint8Array, at: number): number =>
  hexAt(bytes, at) < 0 || hexAt(bytes, at + 1) < 0 ? -1 : hexAt(bytes, at) * 16 + hexAt(bytes, at + 1);
const hexLetters = (digit: number): readonly number[] =>
  [...new Set([digit.toString(16), digit.toString(16).toUpperCase()])].map(code);

const [percent, backslash, quote, plus, space] = ["%", "\\", "'", "+", " "].map(code) as [
  number,
  number,
  number,
  number,
  number,
];

/** How shells write a quote inside quotes. */
const quotedQuotes = ["'\\''", "'\"'\"'"].map(bytesOf);

const controlLetters: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, b: 8, f: 12, v: 11, a: 7, e: 27 };

function textPattern(secret: Uint8Array): Pattern {
  const tricky = secret.some((byte) => byte === percent || byte === backslash || byte === quote || byte === plus);
  const match: Pattern["match"] = (bytes, at, complete) => {
    const plain = matchText(secret, bytes, at, false);
    if (plain > 0 || !tricky || (plain === open && !complete)) return plain;
    // Where the secret has such characters itself, what looks like an escape may be one.
    const encoded = matchText(secret, bytes, at, true);
    return encoded;
  };
  const [first = 0, second = 0] = secret;
  const raw = [first, [...beginningsOf(second), ...gapBytes]] as const;
  const escaped = [
    first,
    code("u"),
    code("x"),
    code(String(first >> 6)),
    ...Object.entries(controlLetters).flatMap(([letter, byte]) => (byte === first ? [code(letter)] : [])),
  ];
  return {
    beginnings: [
      raw,
      [percent, hexLetters(first >> 4)],
      [backslash, escaped],
      ...(first === space ? ([[plus, [...beginningsOf(second), ...gapBytes]]] as const) : []),
      ...(first === quote ? ([[quote, [backslash, code('"')]]] as const) : []),
    ],
    longest: Math.min(secret.length * 8 + 4 * longestGap, 1 << 20),
    match,
  };
}

/** The bytes with which a character of a secret may begin, in any of its text forms. */
function beginningsOf(byte: number): readonly number[] {
  return [byte, percent, backslash, ...(byte === space ? [plus] : []), ...(byte === quote ? [quote] : [])];
}

/** @param encodedFirst Whether an escape is taken for what it stands for before it is taken as it is. */
function matchText(secret: Uint8Array, bytes: Uint8Array, at: number, encodedFirst: boolean): number {
  let next = at;
  for (let matched = 0; matched < secret.length; ) {
    const byte = secret[matched] as number;
    if (next >= bytes.length) return open;
    if (!encodedFirst && bytes[next] === byte && byte !== quote) {
      next += 1;
      matched += 1;
      continue;
    }
    const unit = matchUnit(secret, matched, bytes, next);
    if (unit === open) return open;
    if (unit !== undefined) {
      next += unit.length;
      matched += unit.matched;
      continue;
    }
    if (bytes[next] === byte) {
      next += 1;
      matched += 1;
      continue;
    }
    const behind = matched === 0 ? next : behindGap(bytes, next);
    if (behind === open) return open;
    if (behind === next) return none;
    next = behind;
  }
  return next;
}

/** A character that is encoded: how many bytes it takes, and how many of the secret's it stands for. */
function matchUnit(
  secret: Uint8Array,
  matched: number,
  bytes: Uint8Array,
  at: number,
): { readonly length: number; readonly matched: number } | typeof open | undefined {
  const byte = secret[matched] as number;
  const letter = bytes[at];
  if (letter === percent) {
    if (at + 2 >= bytes.length) return open;
    return byteAt(bytes, at + 1) === byte ? { length: 3, matched: 1 } : undefined;
  }
  if (letter === plus && byte === space) return { length: 1, matched: 1 };
  if (letter === quote && byte === quote) {
    for (const quoted of quotedQuotes) {
      const same = samePrefix(quoted, bytes, at);
      if (same === quoted.length) return { length: quoted.length, matched: 1 };
      if (at + same >= bytes.length && same > 1) return open;
    }
    return undefined;
  }
  return letter === backslash ? matchEscape(secret, matched, bytes, at) : undefined;
}

function matchEscape(
  secret: Uint8Array,
  matched: number,
  bytes: Uint8Array,
  at: number,
): { readonly length: number; readonly matched: number } | typeof open | undefined {
  const byte = secret[matched] as number;
  const kind = bytes[at + 1];
  if (kind === undefined) return open;
  if (kind === code("u")) {
    if (at + 5 >= bytes.length) return open;
    return matchUnicode(secret, matched, bytes, at);
  }
  if (kind === code("x")) {
    if (at + 3 >= bytes.length) return open;
    if (byteAt(bytes, at + 2) === byte) return { length: 4, matched: 1 };
  }
  if (controlLetters[String.fromCharCode(kind)] === byte) return { length: 2, matched: 1 };
  const octal = /^[0-7]{3}/.exec(String.fromCharCode(...bytes.subarray(at + 1, at + 4)))?.[0];
  if (octal !== undefined && Number.parseInt(octal, 8) === byte) return { length: 4, matched: 1 };
  return kind === byte ? { length: 2, matched: 1 } : undefined;
}

/** `\u00e4`, or two of them for a character beyond the first plane. */
function matchUnicode(secret: Uint8Array, matched: number, bytes: Uint8Array, at: number) {
  const unitAt = (from: number): number => {
    const [high, low] = [byteAt(bytes, from + 2), byteAt(bytes, from + 4)];
    return high < 0 || low < 0 ? -1 : high * 256 + low;
  };
  const first = unitAt(at);
  if (first < 0) return undefined;
  const paired = first >= 0xd800 && first < 0xdc00;
  if (paired && at + 11 >= bytes.length) return open;
  const text = paired ? String.fromCharCode(first, unitAt(at + 6)) : String.fromCharCode(first);
  const character = bytesOf(text);
  const same = character.every((byte, index) => secret[matched + index] === byte);
  return same ? { length: paired ? 12 : 6, matched: character.length } : undefined;
}

function samePrefix(wanted: Uint8Array, bytes: Uint8Array, at: number): number {
  let same = 0;
  while (same < wanted.length && wanted[same] === bytes[at + same]) same += 1;
  return same;
}

/** Text that is not ASCII in UTF-16; of ASCII text the bytes between are NULs, which show nothing. */
function wideTexts(text: string): readonly Uint8Array[] {
  if (/^[\u0001-\u007f]*$/.test(text)) return [];
  const units = Array.from({ length: text.length }, (_, index) => text.charCodeAt(index));
  const of = (order: (unit: number) => readonly number[]) => Uint8Array.from(units.flatMap(order));
  return [of((unit) => [unit & 0xff, unit >> 8]), of((unit) => [unit >> 8, unit & 0xff])];
}

function exactPattern(wanted: Uint8Array): Pattern {
  return {
    beginnings: [[wanted[0] ?? 0, [wanted[1] ?? 0]]],
    longest: wanted.length,
    match(bytes, at) {
      const same = samePrefix(wanted, bytes, at);
      if (same === wanted.length) return at + same;
      return at + same >= bytes.length ? open : none;
    },
  };
}

// --- base64 and hex ---------------------------------------------------------------------------------------------------------------

/** Characters that must match before a line may break: nearly every line ends with the first character of some form. */
const leastBeforeBreak = 4;

const [dash, underscore, slash] = ["-", "_", "/"].map(code) as [number, number, number];

/** Of a line that begins in the middle of the secret, up to this many characters stood on the line before. */
const firstSkips = [1, 2, 3];

function base64Patterns(secret: Uint8Array): readonly Pattern[] {
  const texts = [0, 1, 2].map((skip) => innerBase64(secret, skip)).filter((text) => text.length >= shortestBase64);
  return texts.flatMap((text) => [
    base64Pattern(text, false),
    // Long enough that no other text has it by chance.
    ...firstSkips
      .filter((skip) => text.length - skip >= 4 * shortestBase64)
      .map((skip) => base64Pattern(text.subarray(skip), true)),
  ]);
}

/** The base64 characters that depend on these bytes alone when `skip` unknown bytes stand before them. */
function innerBase64(bytes: Uint8Array, skip: number): Uint8Array {
  const padded = new Uint8Array(skip + bytes.length);
  padded.set(bytes, skip);
  let binary = "";
  for (const byte of padded) binary += String.fromCharCode(byte);
  const text = btoa(binary).replaceAll("=", "");
  return bytesOf(text.slice(Math.ceil((skip * 8) / 6), Math.floor(((skip + bytes.length) * 8) / 6)));
}

const variantsOf = (letter: number): readonly number[] =>
  letter === plus ? [plus, dash, percent] : letter === slash ? [slash, underscore, percent, backslash] : [letter];

/** @param atLineStart Whether it counts only where a line begins, the line before having ended inside the secret. */
function base64Pattern(text: Uint8Array, atLineStart: boolean): Pattern {
  const [first = 0, second = 0] = text;
  return {
    beginnings: variantsOf(first).map((letter) => [
      letter,
      letter === percent || letter === backslash ? [code("2"), slash] : [...variantsOf(second), ...gapBytes, backslash],
    ]),
    longest: text.length * 4 + 4 * longestGap,
    match(bytes, at) {
      if (atLineStart && !followsBreak(bytes, at)) return none;
      let next = at;
      for (let matched = 0; matched < text.length; ) {
        if (next >= bytes.length) return open;
        const length = base64Letter(bytes, next, text[matched] as number);
        if (length === open) return open;
        if (length > 0) {
          next += length;
          matched += 1;
          continue;
        }
        const behind = matched === 0 ? next : behindBreak(bytes, next, atLineStart || matched >= leastBeforeBreak);
        if (behind === open) return open;
        if (behind === next) return none;
        next = behind;
      }
      return next;
    },
  };
}

function followsBreak(bytes: Uint8Array, at: number): boolean {
  let before = at - 1;
  const first = before - longestIndent;
  while (before >= 0 && before > first && (bytes[before] === space || bytes[before] === 0x09)) before -= 1;
  return before >= 0 && bytes[before] === newline;
}

/** Bytes that this character takes; 0 where it is another one. */
function base64Letter(bytes: Uint8Array, at: number, wanted: number): number {
  const letter = bytes[at];
  if (letter === wanted) return 1;
  if (wanted !== plus && wanted !== slash) return 0;
  if (letter === (wanted === plus ? dash : underscore)) return 1;
  if (letter === percent) return at + 2 >= bytes.length ? open : byteAt(bytes, at + 1) === wanted ? 3 : 0;
  if (letter === backslash && wanted === slash) return at + 1 >= bytes.length ? open : bytes[at + 1] === slash ? 2 : 0;
  return 0;
}

/** Behind what shows nothing, and where a line may break behind the break, as it is or as JSON writes it, with the indentation after it. */
function behindBreak(bytes: Uint8Array, at: number, mayBreak: boolean): number {
  let next = at;
  for (;;) {
    const from = next;
    next = behindGap(bytes, next);
    if (next === open) return open;
    if (mayBreak) {
      while (bytes[next] === newline || bytes[next] === space) next += 1;
      if (bytes[next] === backslash) {
        if (next + 1 >= bytes.length) return open;
        if (bytes[next + 1] === code("n") || bytes[next + 1] === code("r")) next += 2;
      }
    }
    if (next === from || next - at > longestGap) return next;
  }
}

/** Two digits a byte, in either case, with blanks, colons, commas, dashes, `\x`, `0x` or line breaks between the bytes. */
function hexPattern(secret: Uint8Array): Pattern {
  const [first = 0] = secret;
  return {
    beginnings: hexLetters(first >> 4).map((letter) => [letter, hexLetters(first & 15)]),
    longest: secret.length * 8 + 4 * longestGap,
    match(bytes, at) {
      let next = at;
      for (let matched = 0; matched < secret.length; matched++) {
        if (matched > 0) next = behindSeparator(bytes, next, matched >= 2);
        if (next === open || next + 1 >= bytes.length) return open;
        if (byteAt(bytes, next) !== secret[matched]) return none;
        next += 2;
      }
      return next;
    },
  };
}

const separators = new Set([" ", ":", ",", "-"].map(code));

function behindSeparator(bytes: Uint8Array, at: number, mayBreak: boolean): number {
  let next = behindGap(bytes, at);
  if (next === open) return open;
  while (separators.has(bytes[next] ?? 0) || (mayBreak && bytes[next] === newline)) next += 1;
  const [sign, letter] = [bytes[next], bytes[next + 1]];
  if ((sign === backslash || sign === code("0")) && letter === code("x")) next += 2;
  return next;
}
