import { describe, expect, it } from "vitest";
import { needleScan } from "./needle-scan.ts";

const bytes = (text: string) => Buffer.from(text);

/** A reproducible stream of numbers below `limit`. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    return (state >> 8) % limit;
  };
}

describe("needleScan", () => {
  it("finds a needle at the start, in the middle and at the end", () => {
    const scan = needleScan([bytes("secret")]);
    for (const text of ["secret", "secret after", "before secret", "a secret here"])
      expect(scan.within(bytes(text)), text).toBe(true);
    for (const text of ["", "s", "secre", "secreT", "ecret"]) expect(scan.within(bytes(text)), text).toBe(false);
  });

  it("agrees with the slow way on small alphabets, where shifts are easily wrong", () => {
    const next = numbers(7);
    const word = (length: number) => Buffer.from(Array.from({ length }, () => 97 + next(2)));
    for (let round = 0; round < 2000; round++) {
      const needles = Array.from({ length: 1 + next(4) }, () => word(4 + next(5)));
      const text = word(next(40));
      expect(needleScan(needles).within(text)).toBe(needles.some((needle) => text.includes(needle)));
    }
  });

  it("finds what lies across pieces of any size", () => {
    const text = bytes("....hunter2-and-more....");
    for (let size = 1; size <= text.length; size++) {
      const next = needleScan([bytes("hunter2-and-more"), bytes("zzzz")]).start();
      let found = false;
      for (let at = 0; at < text.length; at += size) found = next(text.subarray(at, at + size)) || found;
      expect(found, `pieces of ${size}`).toBe(true);
    }
  });

  it("does not join pieces of different streams", () => {
    const scan = needleScan([bytes("abcdef")]);
    expect(scan.start()(bytes("abc"))).toBe(false);
    expect(scan.start()(bytes("def"))).toBe(false);
  });

  it("finds any bytes", () => {
    expect(needleScan([Buffer.from([0, 255, 0, 254])]).within(Buffer.from([1, 0, 255, 0, 254]))).toBe(true);
  });
});
