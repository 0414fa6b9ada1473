import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { secrets } from "../test/fake-session.ts";
import { needlesOf, printable, redactor, shortestSecret } from "./redaction.ts";

/** Five bytes at least: of four no alignment of base64 shows enough. */
const secretText = fc
  .string({ unit: "grapheme", minLength: 5, maxLength: 40 })
  .filter((text) => text.trim().length > 4);

describe("needlesOf", () => {
  test("finds a secret in the base64 of any text around it, at all three alignments", () => {
    fc.assert(
      fc.property(
        secretText,
        fc.uint8Array({ maxLength: 9 }),
        fc.uint8Array({ maxLength: 9 }),
        (secret, left, right) => {
          const bytes = Buffer.concat([left, Buffer.from(secret), right]);
          for (const encoding of ["base64", "base64url"] as const) {
            const text = bytes.toString(encoding);
            expect(needlesOf(secret).some((needle) => text.includes(needle))).toBe(true);
          }
        },
      ),
    );
  });

  test.each(["", "a", "aa"])("finds it behind %j", (left) => {
    const needles = needlesOf("hunter2");
    const text = Buffer.from(`${left}hunter2:x`).toString("base64");
    expect(needles.filter((needle) => text.includes(needle))).toHaveLength(1);
  });

  test("finds it URL-encoded", () => {
    expect(needlesOf("p&ss/wörd 1")).toContain("p%26ss%2Fw%C3%B6rd%201");
  });

  const awkward = "p@ss w0rd!(x)/\"é'$";
  // The expected forms were written by the programs that the names tell.
  test.each([
    ["Python's quote", "p%40ss%20w0rd%21%28x%29/%22%C3%A9%27%24"],
    ["Python's quote_plus", "p%40ss+w0rd%21%28x%29%2F%22%C3%A9%27%24"],
    ["curl", "p%40ss%20w0rd%21%28x%29%2F%22%C3%A9%27%24"],
    ["a form of a browser", "p%40ss+w0rd%21%28x%29%2F%22%C3%A9%27%24"],
    ["lower case", "p%40ss%20w0rd%21%28x%29%2f%22%c3%a9%27%24"],
    ["xxd -p", "704073732077307264212878292f22c3a92724"],
    ["Python's json.dumps", "p@ss w0rd!(x)/\\\"\\u00e9'$"],
    ["PHP's json_encode", "p@ss w0rd!(x)\\/\\\"\\u00e9'$"],
    ["a shell's single quotes", "'p@ss w0rd!(x)/\"é'\\''$'"],
    ["bash's printf %q", "p@ss\\ w0rd\\!\\(x\\)/\\\"é\\'\\$"],
    ["a shell's double quotes", "p@ss w0rd!(x)/\\\"é'\\$"],
  ])("finds it as %s writes it", (_, text) => {
    expect(needlesOf(awkward).some((needle) => text.includes(needle))).toBe(true);
  });

  test("finds each random line of a key, and no line that other files rightly hold", () => {
    const body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC";
    const key = `-----BEGIN PRIVATE KEY-----\n${body}\nhttps://example.com/a1b2c3d4\n/usr/lib/python3/dist\npassword\n-----END PRIVATE KEY-----`;
    const needles = needlesOf(key);
    expect(needles).toContain(body);
    for (const line of key.split("\n").filter((one) => one !== body)) expect(needles).not.toContain(line);
  });

  test("finds what a file held, with and without its newline", () => {
    expect(needlesOf("hunter2\n")).toEqual(needlesOf("hunter2"));
    for (const text of ["hunter2", "aHVudGVyMgo="]) {
      expect(needlesOf("hunter2\n").some((needle) => text.includes(needle))).toBe(true);
    }
  });

  test.each(["", "abc", " abc\n", "    "])("has none for %j, which would be everywhere", (value) => {
    expect(shortestSecret).toBe(4);
    expect(needlesOf(value)).toEqual([]);
  });

  test("of four characters have no base64 form, of which no alignment shows enough", () => {
    expect(needlesOf("a/bc")).toEqual(expect.arrayContaining(["a%2Fbc", "a%2fbc", "612f6263", "a\\/bc", "a/bc"]));
    expect(needlesOf("a/bc")).not.toContain("YS9iYw");
  });

  test("are longest first and without duplicates", () => {
    fc.assert(
      fc.property(secretText, (secret) => {
        const lengths = needlesOf(secret).map((needle) => needle.length);
        expect(lengths).toEqual([...lengths].sort((a, b) => b - a));
        expect(new Set(needlesOf(secret)).size).toBe(lengths.length);
      }),
    );
  });

  test("are found for a large secret and for one that is no text", () => {
    expect(needlesOf("k".repeat(1_000_000)).length).toBeGreaterThan(2);
    expect(() => needlesOf("\ud800 half a character")).not.toThrow();
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
    ["control characters", "a\u0000\u0008\u007f\rb", "ab"],
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
