import { expect, test } from "vitest";
import { normalizeScript } from "./shell-normal.ts";
import { loadShellParser } from "./shell-parser.ts";

const parse = await loadShellParser();

test.each([
  ["nothing", "", ""],
  ["only comments", "# a\n\n# b\n", ""],
  ["a comment at the end of a line", "echo a # why\n", "echo a\n"],
  ["a # that begins no comment", "echo 'a # b' c#d\n", "echo 'a # b' c#d\n"],
  ["a first line for the kernel", "#!/bin/sh\n# more\nx\n", "#!/bin/sh\nx\n"],
  ["a first line that is all", "#!/bin/sh", ""],
  ["statements of one line", "a; b && c\n", "a\nb && c\n"],
  ["redirections", "a > b 2>&1\n", "a >b 2>&1\n"],
  ["indentation", "if a; then\n    b\nfi\n", "if a; then\n\tb\nfi\n"],
  ["no line end", "a", "a\n"],
  ["blank lines between statements", "a\n\n\nb\n\n# c\n\nd\n", "a\nb\nd\n"],
  ["a blank line inside a statement", "if a; then\n  b\n\n  c\nfi\n\nd\n", "if a; then\n\tb\n\n\tc\nfi\nd\n"],
  ["blank lines of a here-document", "cat <<E\na\n\n\nb # kept\nE\n\nx\n", "cat <<E\na\n\n\nb # kept\nE\nx\n"],
  ["blank lines of a text", "echo 'a\n\nb'\n\nx\n", "echo 'a\n\nb'\nx\n"],
  ["several here-documents", "cat <<A\n\n1\nA\n\ncat <<B\n\n2\nB\n", "cat <<A\n\n1\nA\ncat <<B\n\n2\nB\n"],
])("%s", (_, script, normal) => {
  expect(normalizeScript(parse, script)).toBe(normal);
  expect(normalizeScript(parse, normal)).toBe(normal);
});
