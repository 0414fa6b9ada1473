import { execFileSync } from "node:child_process";
import type { Random } from "./random.ts";

/** A secret as people have them: 8 to 60 characters of one of several alphabets. */
export function secretOf(random: Random): string {
  const alphabet = random.pick([
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "0123456789abcdef",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*()-_=+[]{};:'\"\\|,.<>/?~ ",
    "äöüßéèñçøåabcdefghijklm0123456789",
  ]);
  const letters = [...alphabet];
  const length = 8 + random.below(52);
  const body = Array.from({ length }, () => random.pick(letters)).join("");
  return `${random.pick(["glpat-", "ghp_", "sk-", "", "", ""])}Q${body}7`;
}

/** A form in which a secret's value can stand in a file or a log, made by encoders that are not ours. */
export interface SecretForm {
  readonly name: string;
  make(secret: string, random: Random): Buffer;
}

const text = (name: string, make: (secret: string, random: Random) => string): SecretForm => ({
  name,
  make: (secret, random) => Buffer.from(make(secret, random)),
});

const bytes = (secret: string) => Buffer.from(secret);
const percent = (secret: string, kept: RegExp, write: (hex: string) => string) =>
  [...bytes(secret)]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      return byte < 128 && kept.test(letter) ? letter : `%${write(byte.toString(16).padStart(2, "0"))}`;
    })
    .join("");
const upper = (hex: string) => hex.toUpperCase();
const lower = (hex: string) => hex;
const wrapped = (line: string, width: number, end: string) =>
  (line.match(new RegExp(`.{1,${width}}`, "g")) ?? []).join(end);
const behind = (secret: string, count: number) => Buffer.concat([Buffer.from("xyz".slice(0, count)), bytes(secret)]);

export const secretForms: readonly SecretForm[] = [
  text("raw", (secret) => secret),
  text("in the middle of a line", (secret) => `a=${secret}&b`),
  text("base64", (secret) => bytes(secret).toString("base64")),
  text("base64 behind one byte", (secret) => behind(secret, 1).toString("base64")),
  text("base64 behind two bytes", (secret) => behind(secret, 2).toString("base64")),
  text("base64url", (secret) => bytes(secret).toString("base64url")),
  text("base64url behind one byte", (secret) => behind(secret, 1).toString("base64url")),
  text("base64 of 76 a line", (secret) =>
    execFileSync("base64", {
      input: Buffer.concat([Buffer.from("user:password pair: "), bytes(secret), bytes(secret)]),
      encoding: "utf8",
    }),
  ),
  text("base64 of few a line", (secret, random) =>
    wrapped(bytes(secret).toString("base64"), 4 + random.below(20), "\n"),
  ),
  text("base64 with CRLF", (secret, random) =>
    wrapped(behind(secret, random.below(3)).toString("base64"), 8 + random.below(20), "\r\n"),
  ),
  text("encodeURIComponent", (secret) => encodeURIComponent(secret)),
  text("encodeURIComponent in lower case", (secret) =>
    encodeURIComponent(secret).replaceAll(/%../g, (code) => code.toLowerCase()),
  ),
  text("a form", (secret) => new URLSearchParams({ a: secret }).toString()),
  text("RFC 3986", (secret) => percent(secret, /[A-Za-z0-9._~-]/, upper)),
  text("RFC 3986 in lower case", (secret) => percent(secret, /[A-Za-z0-9._~-]/, lower)),
  text("Python's quote", (secret) => percent(secret, /[A-Za-z0-9._~/-]/, upper)),
  text("all percent", (secret) => percent(secret, /(?!)/, upper)),
  text("all percent in lower case", (secret) => percent(secret, /(?!)/, lower)),
  text("hex", (secret) => bytes(secret).toString("hex")),
  text("hex in upper case", (secret) => bytes(secret).toString("hex").toUpperCase()),
  text("JSON", (secret) => JSON.stringify({ a: secret })),
  text("JSON with escapes for all but ASCII", (secret) =>
    JSON.stringify(secret).replaceAll(
      /[\u0080-\uffff]/g,
      (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
    ),
  ),
  text("JSON with escaped slashes", (secret) => JSON.stringify(secret).replaceAll("/", "\\/")),
  text("quoted for a shell", (secret) => `'${secret.replaceAll("'", "'\\''")}'`),
  text("escaped for a shell", (secret) => secret.replaceAll(/[^A-Za-z0-9_\u0080-\uffff]/g, (letter) => `\\${letter}`)),
  text("escapes of a terminal between", (secret) => [...secret].join("\u001b[1m")),
  text("control characters between", (secret) =>
    [...secret].map((letter, index) => (index % 3 === 1 ? `\u0008${letter}` : letter)).join(""),
  ),
  { name: "UTF-16, little end first", make: (secret) => Buffer.from(secret, "utf16le") },
  { name: "UTF-16, big end first", make: (secret) => Buffer.from(secret, "utf16le").swap16() },
  text("twice, without a break", (secret) => secret + secret),
];
