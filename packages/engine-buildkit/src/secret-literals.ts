import { secretPieces } from "@melange2/core";

/**
 * The forms of a secret as fixed texts, for programs in a daemon that can look for nothing else: percent-encoded in each dialect, in hex, quoted
 * for JSON and for shells, and in base64 at each of the three alignments. None has a line break but those of the secret itself.
 */
export function secretLiterals(value: string): readonly string[] {
  return [...new Set(secretPieces(value).flatMap(formsOf))];
}

/**
 * The forms that stand in a text from which blanks, line breaks, control characters and colons were taken: base64 and hex that were broken over
 * lines, and text with control characters between its own.
 */
export function squeezedLiterals(value: string): readonly string[] {
  const texts = secretPieces(value).flatMap((piece) => {
    const bytes = new TextEncoder().encode(piece);
    return [piece.replace(/[\s:\u0001-\u001f]/g, ""), ...hexForms(bytes), ...base64Forms(bytes)];
  });
  return [...new Set(texts)].filter((text) => text.length >= shortestSqueezed && !/[\s:]/.test(text));
}

/** Squeezed text has more by chance than text has. */
const shortestSqueezed = 8;

function formsOf(text: string): readonly string[] {
  const bytes = new TextEncoder().encode(text);
  return [text, ...percentForms(text, bytes), ...hexForms(bytes), ...quotedForms(text), ...base64Forms(bytes)];
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
  const texts = [0, 1, 2].map((skip) => innerBase64(bytes, skip)).filter((text) => text.length >= 6);
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
