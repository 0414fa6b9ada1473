import type { SecretSource } from "./engine.ts";
import { type SecretMatcher, secretMatcher } from "./secret-matcher.ts";

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

/**
 * What files are searched for, byte by byte: the forms of {@link needlesOf}, pieces of those in base64, one of which stands on a
 * line of its own wherever lines are at least twice as long, and the plain value in UTF-16, of either byte order.
 */
export function searchNeedlesOf(value: string): readonly string[] {
  const secret = value.trim().toWellFormed();
  if (secret.length < shortestSecret) return [];
  // Pieces of a URL, or of a BEGIN line, are in many files that hold no secret.
  const ownText = /\n|:\/\//.test(secret) ? randomLines(secret) : [secret];
  const pieces = ownText.flatMap((text) => base64Forms(new TextEncoder().encode(text)).flatMap(piecesOf));
  const wide = [secret, ...randomLines(secret)].filter((text) => /^[\u0001-\u007f]+$/.test(text));
  return [...new Set([...needlesOf(value), ...pieces, ...wide.map((text) => [...text].join("\0"))])];
}

const pieceLength = 16;

function piecesOf(text: string): readonly string[] {
  if (text.length > longestQuoted) return [];
  const starts = Array.from({ length: Math.floor(text.length / pieceLength) }, (_, index) => index * pieceLength);
  return starts.map((start) => text.slice(start, start + pieceLength));
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
  const matcher = secretMatcher(allNeedles(secrets));
  return (text) => {
    const { shown, held } = redact(text, matcher);
    return shown + redactEnd(held, matcher);
  };
}

/** The needles of all secrets, longest first: where one secret contains another, the whole of it is masked. */
export function allNeedles(secrets: SecretSource): readonly string[] {
  return secrets.names.flatMap((name) => needlesOf(secrets.get(name) ?? "")).sort((a, b) => b.length - a.length);
}

/** `held` is the end of the text from where a secret may have begun that goes on behind it. */
function redact(text: string, matcher: SecretMatcher): { readonly shown: string; readonly held: string } {
  let shown = "";
  let from = 0;
  for (let found = matcher.find(text, from); found !== undefined; found = matcher.find(text, from)) {
    shown += text.slice(from, found.start);
    if (found.end === undefined) return { shown, held: text.slice(found.start) };
    shown += mask;
    from = found.end;
  }
  return { shown: shown + text.slice(from), held: "" };
}

/** A held text behind which nothing comes: what only began there is no secret, what lies inside may be one. */
function redactEnd(held: string, matcher: SecretMatcher): string {
  // This character ends whatever may have begun: no needle holds it.
  const noCharacter = "\uffff";
  return redact(held + noCharacter, matcher).shown.slice(0, -noCharacter.length);
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
  const matcher = secretMatcher(needles);
  let kept = "";
  return {
    write(piece) {
      const { shown, held } = redact(kept + piece, matcher);
      kept = held;
      return shown;
    },
    end() {
      const rest = redactEnd(kept, matcher);
      kept = "";
      return rest;
    },
  };
}

const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
// CSI, OSC, then DCS and its like, each begun by two characters or by the one C1 character that stands for them.
const escapes =
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b\]|\u009d)[^\u0007\u001b\u009c\n]*(?:\u0007|\u001b\\|\u009c)?|(?:\u001b[PX^_]|[\u0090\u0098\u009e\u009f])[^\u001b\u009c\n]*(?:\u001b\\|\u009c)?|\u001b[ -/]*[0-~]/g;

/** A log line as it may be shown: without terminal escapes and control characters other than tab. */
export function printable(line: string): string {
  return line.replace(escapes, "").replace(controls, "");
}
