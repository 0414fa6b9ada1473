import type { SecretSource } from "./engine.ts";

const mask = "***";

/** Secrets shorter than this are neither masked nor searched for: they would be found everywhere. */
export const shortestSecret = 4;

/**
 * The forms in which a secret's value betrays itself in plain text: as it is, percent-encoded, in hex, quoted for JSON or a shell,
 * in base64 (also where it stands in the middle of a longer base64 text, at each of the three alignments), and each line of it that
 * looks random. White space around the value is left out: a secret read from a file often ends with a newline that no output shows.
 * Without duplicates, longest first.
 */
export function needlesOf(value: string): readonly string[] {
  const secret = value.trim().toWellFormed();
  if (secret.length < shortestSecret) return [];
  const forms = new Set([secret, ...randomLines(secret)].flatMap(formsOf));
  return [...forms].sort((a, b) => b.length - a.length);
}

function formsOf(text: string): readonly string[] {
  const bytes = new TextEncoder().encode(text);
  return [text, ...percentForms(text, bytes), ...hexForms(bytes), ...quotedForms(text), ...base64Forms(bytes)];
}

/** The lines of a key's body, say. Lines that other files rightly hold, such as BEGIN lines, words, paths and URLs, are left out. */
function randomLines(secret: string): readonly string[] {
  const lines = secret.split(/[\r\n]+/).map((line) => line.trim());
  return lines.length < 2 ? [] : lines.filter(looksRandom);
}

function looksRandom(line: string): boolean {
  if (line.length < 16 || /[\s:]|^[/.~-]/.test(line)) return false;
  return /[0-9]/.test(line) && /[A-Za-z]/.test(line);
}

/** Which ASCII characters stand as they are, by dialect: encodeURIComponent, RFC 3986, Python's quote, a form, curl's and all encoded. */
const unescaped = [
  /[A-Za-z0-9\-_.!~*'()]/,
  /[A-Za-z0-9\-_.~]/,
  /[A-Za-z0-9\-_.~/]/,
  /[A-Za-z0-9\-_.*]/,
  /[A-Za-z0-9]/,
  /(?!)/,
];

function percentForms(text: string, bytes: Uint8Array): readonly string[] {
  // A dialect's bytes of more than one form would multiply a large value by their number.
  if (bytes.length > longestQuoted) return [encodeURIComponent(text)];
  return unescaped.flatMap((plain) => {
    const escaped = Array.from(bytes, (byte) => {
      const character = String.fromCharCode(byte);
      return byte < 0x80 && plain.test(character) ? character : `%${hexOf(byte).toUpperCase()}`;
    });
    const lower = escaped.map((part) => (part.length === 3 ? part.toLowerCase() : part));
    return [escaped, lower].flatMap((parts) => [
      parts.join(""),
      parts.map((part) => (part === "%20" ? "+" : part)).join(""),
    ]);
  });
}

/** Characters; of longer values the rarer forms are not made, each of which would be several times their size. */
const longestQuoted = 64 * 1024;

/** Without a separator as `xxd -p` writes it, and with `:` or a blank between the bytes. */
function hexForms(bytes: Uint8Array): readonly string[] {
  if (bytes.length > longestQuoted) return [];
  const pairs = Array.from(bytes, hexOf);
  return ["", ":", " "].map((between) => pairs.join(between)).flatMap((text) => [text, text.toUpperCase()]);
}

function hexOf(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** Without the quotes around them: as JSON writes it, with `/` escaped and in ASCII only too, and as shells quote it. */
function quotedForms(text: string): readonly string[] {
  const json = JSON.stringify(text).slice(1, -1);
  const ascii = json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return [
    ...[json, ascii].flatMap((one) => [one, one.replaceAll("/", "\\/")]),
    text.replaceAll("'", "'\\''"),
    text.replaceAll("'", `'"'"'`),
    text.replace(/[\\'\n\t]/g, (one) => ({ "\n": "\\n", "\t": "\\t" })[one] ?? `\\${one}`),
    text.replace(/["$\\`]/g, "\\$&"),
    text.replace(/[^A-Za-z0-9_@%+=:,./\-\n\u0080-\uffff]/g, "\\$&"),
  ];
}

function base64Forms(bytes: Uint8Array): readonly string[] {
  const texts = [0, 1, 2].map((skip) => innerBase64(bytes, skip)).filter((text) => text.length >= shortestSecret + 2);
  return texts.flatMap((text) => [text, text.replaceAll("+", "-").replaceAll("/", "_")]);
}

/** The base64 characters that depend on these bytes alone when `skip` unknown bytes stand before them. */
function innerBase64(bytes: Uint8Array, skip: number): string {
  const padded = new Uint8Array(skip + bytes.length);
  padded.set(bytes, skip);
  const text = btoa(Array.from(padded, (byte) => String.fromCharCode(byte)).join("")).replaceAll("=", "");
  const first = Math.ceil((skip * 8) / 6);
  const last = Math.floor(((skip + bytes.length) * 8) / 6);
  return text.slice(first, last);
}

/** Replaces every form of every secret in a text. */
export type Redact = (text: string) => string;

export function redactor(secrets: SecretSource): Redact {
  const needles = allNeedles(secrets);
  return (text) => redact(text, needles);
}

/** The needles of all secrets, longest first: where one secret contains another, the whole of it is masked. */
export function allNeedles(secrets: SecretSource): readonly string[] {
  return secrets.names.flatMap((name) => needlesOf(secrets.get(name) ?? "")).sort((a, b) => b.length - a.length);
}

function redact(text: string, needles: readonly string[]): string {
  return needles.reduce((result, needle) => result.replaceAll(needle, mask), text);
}

/** Redacts a text that comes in pieces, wherever the pieces are cut. */
export interface StreamRedactor {
  /** What can be shown now. The end of the text is held back while it could be the beginning of a secret. */
  write(piece: string): string;
  /** What was held back. */
  end(): string;
}

/** @param needles As {@link allNeedles} gives them. */
export function streamRedactor(needles: readonly string[]): StreamRedactor {
  let held = "";
  return {
    write(piece) {
      const text = held + piece;
      const end = endOfWhole(text, needles);
      held = text.slice(end);
      return redact(text.slice(0, end), needles);
    },
    end() {
      const rest = redact(held, needles);
      held = "";
      return rest;
    },
  };
}

/** The last place where the text can be cut without cutting a needle, whether that is there whole or only begun. */
function endOfWhole(text: string, needles: readonly string[]): number {
  for (let end = text.length; ; ) {
    const start = needles.reduce((least, needle) => Math.min(least, startAcross(text, needle, end)), end);
    if (start === end) return end;
    end = start;
  }
}

/** Where the first needle begins that goes on beyond `end`; `end` where none does. */
function startAcross(text: string, needle: string, end: number): number {
  const first = needle.charAt(0);
  let at = text.indexOf(first, Math.max(0, end - needle.length + 1));
  while (at >= 0 && at < end) {
    if (needle.startsWith(text.slice(at, at + needle.length))) return at;
    at = text.indexOf(first, at + 1);
  }
  return end;
}

const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
// CSI, OSC, then DCS and its like, each begun by two characters or by the one C1 character that stands for them.
const escapes =
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b\]|\u009d)[^\u0007\u001b\u009c\n]*(?:\u0007|\u001b\\|\u009c)?|(?:\u001b[PX^_]|[\u0090\u0098\u009e\u009f])[^\u001b\u009c\n]*(?:\u001b\\|\u009c)?|\u001b[ -/]*[0-~]/g;

/** A log line as it may be shown: without terminal escapes and control characters other than tab. */
export function printable(line: string): string {
  return line.replace(escapes, "").replace(controls, "");
}
