import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { secrets } from "../test/fake-session.ts";
import { matcherOf, printable, redactor } from "./redaction.ts";
import { holdsSecret } from "./secret-matcher.ts";
import { shortestSecret } from "./secret-pieces.ts";

/** Six bytes at least: of fewer no alignment of base64 shows enough. */
const secretText = fc
  .string({ unit: "grapheme", minLength: 6, maxLength: 40 })
  .filter((text) => text.trim().length > 5);

const found = (secret: string, text: string | Uint8Array) =>
  holdsSecret(matcherOf(secrets({ T: secret })), typeof text === "string" ? Buffer.from(text) : text);

describe("a secret", () => {
  test("is found in the base64 of any text around it, at all three alignments", () => {
    fc.assert(
      fc.property(
        secretText,
        fc.uint8Array({ maxLength: 9 }),
        fc.uint8Array({ maxLength: 9 }),
        (secret, left, right) => {
          const bytes = Buffer.concat([left, Buffer.from(secret), right]);
          for (const encoding of ["base64", "base64url"] as const)
            expect(found(secret, bytes.toString(encoding))).toBe(true);
        },
      ),
    );
  });

  test.each([
    ["Python's quote", "p%40ss%20w0rd%21%28x%29/%5C%22%C3%A9%27%5C%24"],
    ["Python's quote_plus", "p%40ss+w0rd%21%28x%29%2F%5C%22%C3%A9%27%5C%24"],
    ["xxd -p", "70407373207730726421287829" + "2f5c22c3a9275c24"],
    ["Python's json.dumps", "p@ss w0rd!(x)/\\\\\\\"\\u00e9'\\\\$"],
    ["PHP's json_encode", "p@ss w0rd!(x)\\/\\\\\\\"\\u00e9'\\\\$"],
    ["a shell's single quotes", "p@ss w0rd!(x)/\\\"é'\\''\\$"],
    ["bash's printf %q", "p@ss\\ w0rd\\!\\(x\\)/\\\\\\\"é\\'\\\\\\$"],
  ])("is found as %s writes it", (_, text) => {
    expect(found("p@ss w0rd!(x)/\\\"é'\\$", text)).toBe(true);
  });

  test("of a file is found with and without the file's newline", () => {
    for (const text of ["hunter2", "aHVudGVyMgo=", "hunter2\n"]) expect(found("hunter2\n", text)).toBe(true);
  });

  test.each(["", "abc", " abc\n", "    "])("%j is too short, and would be everywhere", (value) => {
    expect(shortestSecret).toBe(4);
    expect(found(value, `x ${value} abc`)).toBe(false);
  });

  test("of four characters has no base64 form, of which no alignment shows enough", () => {
    expect(found("a/bc", "a%2Fbc")).toBe(true);
    expect(found("a/bc", "YS9iYw")).toBe(false);
  });

  test("may be large, or no text", () => {
    expect(found("k".repeat(1_000_000), "k".repeat(1_000_000))).toBe(true);
    expect(() => found("\ud800 half a character", "x")).not.toThrow();
  });
});

describe("redactor", () => {
  test("masks every form of every secret, the longest first", () => {
    const redact = redactor(secrets({ A: "hunter2", B: "hunter2-longer", C: "$&/x" }));
    expect(redact(`hunter2-longer hunter2 $&/x ${encodeURIComponent("$&/x")}`)).toBe("*** *** *** ***");
  });

  test("changes nothing without secrets, or with empty ones", () => {
    expect(redactor(secrets({}))("text")).toBe("text");
    expect(redactor({ names: ["GONE", "EMPTY"], get: (name) => (name === "EMPTY" ? "" : undefined) })("text")).toBe(
      "text",
    );
  });
});

describe("printable", () => {
  test.each([
    ["CSI", "a\u001b[1;31mb\u001b[0m", "ab"],
    ["CSI with private and intermediate bytes", "a\u001b[?25l\u001b[1 qb", "ab"],
    ["OSC ended by BEL", "a\u001b]0;title\u0007b", "ab"],
    ["OSC ended by ST", "a\u001b]8;;http://example.com\u001b\\link\u001b]8;;\u001b\\b", "alinkb"],
    ["DCS", "a\u001bPq#0\u001b\\b", "ab"],
    ["a character set", "a\u001b(Bb", "ab"],
    ["C1 CSI", "a\u009b31mb", "ab"],
    ["C1 OSC", "a\u009d0;title\u009cb", "ab"],
    ["C1 DCS and a lone C1", "a\u0085\u0090b\u009cc", "ac"],
    ["control characters", "a\u0000\u0008\u007fb", "ab"],
    ["a sequence inside a sequence", "a\u001b\u001b[m[31mb", "a[31mb"],
  ])("strips %s", (_, line, shown) => {
    expect(printable(line)).toBe(shown);
  });

  test("keeps text as it is, tabs included", () => {
    const text = "\tgcc -o x ./x.c  # ünïcode 😀 [31m ]0;";
    expect(printable(text)).toBe(text);
  });

  test("never leaves a character that a terminal obeys", () => {
    const unit = fc.constantFrom("\u001b", "[", "]", "\u009b", "\u009d", "\u0007", "\\", "m", "P", ";", "1", "\r", "a");
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 30 }), (line) => {
        expect(printable(line)).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
      }),
    );
  });
});
