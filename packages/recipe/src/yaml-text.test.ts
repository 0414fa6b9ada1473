import { expect, test } from "vitest";
import { parse } from "yaml";
import { yamlText } from "./yaml-text.ts";

test("what occurs twice is written twice", () => {
  const shared = { a: "b" };
  expect(yamlText({ x: shared, y: shared })).toBe("x:\n  a: b\ny:\n  a: b\n");
});

test("a script stays as it is, however long its lines are", () => {
  const line = `echo ${"word ".repeat(100)}end`;
  expect(yamlText({ runs: `${line}\n${line}\n` })).toBe(`runs: |\n  ${line}\n  ${line}\n`);
  expect(yamlText({ runs: line })).toBe(`runs: ${line}\n`);
});

test.each([
  "1.10",
  "true",
  "null",
  "~",
  "0x10",
  "",
  " x",
  "a: b",
  "# a",
  "\u001b[31m",
  "a\u0000b",
  "x\n\n y\n",
  "\ttab\n",
])("the text %j stays that text", (text) => {
  expect(parse(yamlText({ text }))).toEqual({ text });
  expect(yamlText({ text })).not.toMatch(/[\u0000-\u0008\u000b-\u001f]/);
});
