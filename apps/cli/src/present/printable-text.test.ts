import { expect, test } from "vitest";
import { printableText } from "./printable-text.ts";

test.each([
  ["one\ntwo", "one\ntwo"],
  ["pack\u001b[2Jage", "package"],
  ["name\rerror: all is well", "name error: all is well"],
  ["a\u0007b\u009b31mc\u007f", "abc"],
  ["title \u001b]0;owned\u0007here", "title here"],
])("%j is shown as %j", (text, shown) => {
  expect(printableText(text)).toBe(shown);
});
