import { expect, test } from "vitest";
import { lineChanges } from "./line-changes.ts";

test("what went and what came", () => {
  expect(lineChanges("a\nb\nb\nc", "a\nb\nd\nc")).toEqual(["- b", "+ d"]);
  expect(lineChanges("a\nb", "a\nb")).toEqual([]);
});
