// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how recipes refer to variables.
import fc from "fast-check";
import { expect, test } from "vitest";
import { shellQuote } from "./shell-quote.ts";
import { pasteVariables, substituteVariables } from "./variables.ts";

const known = new Map([
  ["a", "A"],
  ["package.name", "demo"],
  ["open", "$" + "{{a}}"],
]);

function substitute(value: string): { readonly result: string; readonly bad: readonly string[] } {
  const bad: string[] = [];
  const result = substituteVariables(
    value,
    (name) => known.get(name),
    ({ message }) => bad.push(message),
  );
  return { result, bad };
}

test.each([
  ["x${{a}}y${{package.name}}", "xAydemo"],
  ["${{ a }}", "${{ a }}"],
  ["${{nope}}", "${{nope}}"],
  ["${{open}}", "${{a}}"],
  ["${{a", "${{a"],
  ["${{${{a}}}}", "${{A}}"],
  ["$${{a}}", "$A"],
])("pasting into %j gives %j", (value, result) => expect(pasteVariables(value, known)).toBe(result));

test.each([
  ["x${{a}}y${{ package.name }}", "xAydemo"],
  ["${{\ta\r\n}}", "A"],
  ["${{open}}", "${{a}}"],
  ["${a} $a {{a}}", "${a} $a {{a}}"],
])("substituting in %j gives %j", (value, result) => expect(substitute(value)).toEqual({ result, bad: [] }));

test.each([
  ["${{nope}} ${{a}}", "${{nope}} A", 'the variable "nope" is not defined'],
  ["${{}}", "${{}}", "a variable reference without a name"],
  ["${{a", "${{a", 'the variable reference "${{a" is not closed with }} after its name'],
  ["${{a b}}", "${{a b}}", 'the variable reference "${{a" is not closed with }} after its name'],
])("in %j there is a bad reference", (value, result, message) => {
  expect(substitute(value)).toEqual({ result, bad: [message] });
});

test("texts without references stay as they are, whatever they hold", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (value) => {
      fc.pre(!value.includes("$" + "{{"));
      expect(pasteVariables(value, known)).toBe(value);
      expect(substitute(value)).toEqual({ result: value, bad: [] });
    }),
  );
});

test("both ways of substituting agree on references without blanks", () => {
  const part = fc.oneof(fc.constantFrom("$" + "{{a}}", "$" + "{{package.name}}"), fc.stringMatching(/^[^${}]{0,5}$/));
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const value = parts.join("");
      expect(pasteVariables(value, known)).toBe(substitute(value).result);
    }),
  );
});

test("a quoted word never leaves its quotes", () => {
  fc.assert(
    fc.property(fc.string(), (word) => {
      const rest = shellQuote(word)
        .replace(/^[A-Za-z0-9_/.:=@%+,-]+$/, "")
        .replace(/'[^']*'|\\'/g, "");
      expect(rest).toBe("");
    }),
  );
});
