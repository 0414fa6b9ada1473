import type { EngineOptions, Finding } from "@melange2/core";
import { expect, test } from "vitest";
import { tellDifferences } from "./layer-repairs.ts";
import { parseResult } from "./state-comparison.ts";

function told(result: string, unsure?: "tools"): readonly string[] {
  const findings: Finding[] = [];
  const options = { onFinding: (finding: Finding) => findings.push(finding) } as unknown as EngineOptions;
  const comparison = parseResult(result);
  tellDifferences(unsure === undefined ? comparison : { ...comparison, unsure }, options);
  return findings.map(({ message }) => message);
}

test.each([
  ["", []],
  ["hidden ./a\n", []],
  ["many .\n", ["too many files"]],
  ["root-changed .\n", ["mode and owner"]],
  ["reserved ./.wh.a\nreserved ./b/.wh.c\n", ["/.wh.a, /b/.wh.c"]],
  ["many .\nroot-changed .\n", ["mode and owner", "too many files"]],
])("%j is told", (result, messages) => {
  expect(told(result)).toEqual(messages.map((message) => expect.stringContaining(message)));
});

test("a comparison that had no programs is told", () => {
  expect(told("", "tools")).toEqual([expect.stringContaining("the base lacks find")]);
});

test("paths are absolute, each once, and what is no find is left out", () => {
  const { hidden, reserved } = parseResult("hidden ./b\nhidden ./a\nhidden ./b\nreserved second line of a name\n");
  expect([hidden, reserved]).toEqual([["/a", "/b"], []]);
});
