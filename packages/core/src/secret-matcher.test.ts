import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { secrets } from "../test/fake-session.ts";
import { needlesOf, redactor, searchNeedlesOf, streamRedactor } from "./redaction.ts";

const secret = "glpat-Zq9xZq9xZq9xAbCdEfGhIjKlMnOpQrStUvWxYz0123456789";
const redact = redactor(secrets({ T: secret }));

describe("a secret is masked", () => {
  test.each([8, 13, 19, 64, 76])("as base64 in lines of %i characters", (width) => {
    for (const left of ["", "a", "ab"])
      for (const between of ["\n", "\r\n", "\n    "]) {
        const base64 = Buffer.from(`${left}${secret}`).toString("base64");
        const lines = base64.match(new RegExp(`.{1,${width}}`, "g")) ?? [];
        const shown = redact(lines.join(between));
        expect(shown).toContain("***");
        expect(shown.replace(/\s/g, "").length).toBeLessThan(14);
      }
  });

  test.each([
    ["escapes", "\u001b[1;31m"],
    ["NUL characters, as UTF-16 has them", "\u0000"],
    ["carriage returns", "\r"],
  ])("with %s between its characters", (_, between) => {
    expect(redact(`it is ${[...secret].join(between)} here`)).toMatch(/^it is \*\*\* here$/);
  });

  test("wherever a stream is cut", () => {
    const needles = needlesOf(secret);
    const base64 = (
      Buffer.from(secret)
        .toString("base64")
        .match(/.{1,20}/g) ?? []
    ).join("\n");
    const text = `a ${secret.slice(0, 9)}\u001b[0m${secret.slice(9)} b ${base64} c gl`;
    const whole = streamRedactor(needles);
    const expected = whole.write(text) + whole.end();
    expect(expected).not.toContain("Zq9x");
    fc.assert(
      fc.property(fc.array(fc.nat(text.length)), (cuts) => {
        const stream = streamRedactor(needles);
        const places = [0, ...cuts.sort((a, b) => a - b), text.length];
        const shown = places.slice(1).map((end, index) => stream.write(text.slice(places[index], end)));
        expect(shown.join("") + stream.end()).toBe(expected);
      }),
    );
  });
});

test("lines that only begin like a secret are shown at once", () => {
  const stream = streamRedactor(needlesOf(secret));
  expect(stream.write("a long\nlog\n")).toBe("a long\nlog\n");
});

test("what is held back is bounded, whatever a step writes between a secret's characters", () => {
  for (const between of ["\u0000", "\n", "\u001b[", "\u001b[0000000"]) {
    const stream = streamRedactor(needlesOf(secret));
    stream.write(secret.slice(0, 6));
    stream.write(between);
    const shown = stream.write("0".repeat(20_000)) + stream.write(between.repeat(5_000));
    expect(shown.length).toBeGreaterThan(15_000);
  }
});

describe("files are searched for", () => {
  test.each([32, 57, 64, 76])("base64 in lines of %i characters, wherever the secret begins in it", (width) => {
    for (let left = 0; left < 60; left++) {
      const base64 = Buffer.from("x".repeat(left) + secret).toString("base64");
      const lines = base64.replace(new RegExp(`.{${width}}`, "g"), "$&\n");
      expect(searchNeedlesOf(secret).some((needle) => lines.includes(needle))).toBe(true);
    }
  });

  test("UTF-16 of either byte order", () => {
    const little = Buffer.from(`x${secret}x`, "utf16le");
    for (const bytes of [little, Buffer.from(little).swap16()])
      expect(searchNeedlesOf(secret).some((needle) => bytes.includes(needle))).toBe(true);
  });

  test("no piece of a BEGIN line, which every encoded key has", () => {
    const key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----";
    const other = Buffer.from("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----").toString("base64");
    expect(searchNeedlesOf(key).filter((needle) => other.includes(needle))).toEqual([]);
  });
});
