import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { secrets } from "../test/fake-session.ts";
import { matcherOf, redactor, streamRedactor } from "./redaction.ts";
import { holdsSecret, secretScan } from "./secret-matcher.ts";

const plain = "glpat-Zq9xZq9xZq9xAbCdEfGhIjKlMnOpQrStUvWxYz0123456789";
const odd = `p@ss w0rd!(x)%41+'q"\\/é€😀`;
const upper = (hex: string) => hex.toUpperCase();
const lower = (hex: string) => hex;

const percent = (text: string, kept: RegExp, write: (hex: string) => string) =>
  [...Buffer.from(text)]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      return byte < 128 && kept.test(letter) ? letter : `%${write(byte.toString(16).padStart(2, "0"))}`;
    })
    .join("");
const base64 = (text: string, before = "") => Buffer.from(before + text).toString("base64");
const broken = (text: string, width: number, between: string) =>
  (text.match(new RegExp(`.{1,${width}}`, "g")) ?? []).join(between);
const hex = (text: string, between = "") =>
  Buffer.from(text)
    .toString("hex")
    .replaceAll(/(..)(?!$)/g, `$1${between}`);

const forms: readonly (readonly [name: string, make: (text: string) => string])[] = [
  ["as it is", (text) => text],
  ["in base64", (text) => base64(text)],
  ["in base64 behind a byte", (text) => base64(text, "x")],
  ["in base64 behind two bytes", (text) => base64(text, "xy")],
  ["in base64url", (text) => Buffer.from(text).toString("base64url")],
  ["in base64 of 76 a line", (text) => broken(base64(text, "user:password and more of a text before it: "), 76, "\n")],
  ["in base64 of 60 a line, indented", (text) => broken(base64(text, "some text before it"), 60, "\n    ")],
  ["in base64 of 8 a line, with CRLF", (text) => broken(base64(text), 8, "\r\n")],
  ["in base64 of 5 a line", (text) => broken(base64(text), 5, "\n")],
  ["in base64 inside JSON", (text) => JSON.stringify(broken(base64(text), 16, "\n"))],
  ["in base64, percent-encoded", (text) => encodeURIComponent(base64(text, "x"))],
  ["by encodeURIComponent", encodeURIComponent],
  [
    "by encodeURIComponent in lower case",
    (text) => encodeURIComponent(text).replaceAll(/%../g, (one) => one.toLowerCase()),
  ],
  ["as a form", (text) => new URLSearchParams({ a: text }).toString()],
  ["by RFC 3986", (text) => percent(text, /[A-Za-z0-9._~-]/, upper)],
  ["by curl in lower case", (text) => percent(text, /[A-Za-z0-9]/, lower)],
  ["with all percent", (text) => percent(text, /(?!)/, upper)],
  ["half percent", (text) => percent(text, /[A-Za-m0-4]/, lower)],
  ["in hex", (text) => hex(text)],
  ["in hex, upper case", (text) => hex(text).toUpperCase()],
  ["in hex with colons", (text) => hex(text, ":")],
  ["in hex with blanks and breaks", (text) => broken(hex(text, " "), 48, "\n")],
  ["in hex with \\x", (text) => `\\x${hex(text, "\\x")}`],
  ["in JSON", (text) => JSON.stringify(text)],
  ["in JSON with escaped slashes", (text) => JSON.stringify(text).replaceAll("/", "\\/")],
  [
    "in JSON of ASCII",
    (text) =>
      JSON.stringify(text).replaceAll(
        /[\u0080-\uffff]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
      ),
  ],
  ["in quotes of a shell", (text) => `'${text.replaceAll("'", "'\\''")}'`],
  ["in other quotes of a shell", (text) => `'${text.replaceAll("'", `'"'"'`)}'`],
  ["escaped for a shell", (text) => text.replaceAll(/[^A-Za-z0-9\u0080-\uffff]/g, "\\$&")],
  ["with escapes between", (text) => [...text].join("\u001b[1;31m")],
  ["with controls between", (text) => [...text].join("\u0007")],
  ["with a title between", (text) => text.replace(/^(.{4})/, "$1\u001b]0;title\u0007")],
];

describe.each([
  ["a token", plain],
  ["a password of many kinds of characters", odd],
  ["a key's line", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"],
])("%s", (_, secret) => {
  const source = secrets({ T: secret });
  const redact = redactor(source);
  const matcher = matcherOf(source);

  test.each(forms)("is found and masked %s", (_name, make) => {
    const made = make(secret);
    for (const text of [made, `before ${made} after`, `a\n${made}\nb`]) {
      expect(holdsSecret(matcher, Buffer.from(text)), text).toBe(true);
      const shown = redact(text);
      expect(shown).toContain("***");
      expect(shown.length).toBeLessThan(text.length - made.length / 2 + 12);
    }
  });

  test.each(["utf16le", "utf16be"])("is found in %s", (order) => {
    const bytes = Buffer.from(`x${secret}y`, "utf16le");
    expect(holdsSecret(matcher, order === "utf16be" ? bytes.swap16() : bytes)).toBe(true);
  });

  test("is found wherever a stream is cut, and masked the same", () => {
    const text = forms.map(([, make]) => `a ${make(secret)} b`).join("\n");
    const whole = redact(text);
    fc.assert(
      fc.property(fc.array(fc.nat(text.length)), (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), text.length];
        const pieces = places.slice(1).map((end, index) => text.slice(places[index], end));
        const stream = streamRedactor(matcher);
        // Nobody cuts a text inside of a character.
        fc.pre(pieces.every((piece) => piece.isWellFormed()));
        expect(pieces.map((piece) => stream.write(piece)).join("") + stream.end()).toBe(whole);
        const scan = secretScan(matcher);
        expect(pieces.map((piece) => scan(Buffer.from(piece))).some(Boolean)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });
});

describe("what is no secret is left alone", () => {
  const key = `-----BEGIN PRIVATE KEY-----\n${plain.slice(0, 40)}\n/usr/share/some/path-1\nhttps://example.com/a1b2\na word\n-----END PRIVATE KEY-----\n`;
  const redact = redactor(secrets({ KEY: key, PIN: "x1y2" }));

  test("BEGIN lines, paths, URLs and words of a key's file are in other files too", () => {
    const text = "-----BEGIN PRIVATE KEY-----\n/usr/share/some/path-1 https://example.com/a1b2 a word";
    expect(redact(text)).toBe(text);
    expect(redact(plain.slice(0, 40))).toBe("***");
  });

  test("text of all letters, digits, base64 and hex that holds none of it", () => {
    const text = Array.from(
      { length: 4000 },
      (_, index) => `${index.toString(36)} ${base64(`row ${index}`)} ${hex(`row ${index}`)}`,
    ).join("\n");
    expect(redact(text)).toBe(text);
  });

  test("a text that ends with the beginning of a secret is shown at its end", () => {
    const stream = streamRedactor(matcherOf(secrets({ T: plain })));
    expect(stream.write("a glpat-Zq9")).toBe("a ");
    expect(stream.write("-other g")).toBe("glpat-Zq9-other ");
    expect(stream.end()).toBe("g");
  });

  test("a line is shown when it ends, though its last character begins a form of the secret", () => {
    const stream = streamRedactor(matcherOf(secrets({ T: plain })));
    expect(stream.write("this is Z\n")).toBe("this is Z\n");
  });
});
