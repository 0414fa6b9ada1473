import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { shellWords } from "./shell-quote.ts";

it("a shell reads the very same words back", () => {
  const words = ["plain", "", "a b", "it's", '"$HOME"', "`id`", "\n", "\\", "é*?", "-n", "#", "a=b;c&d|e"];
  const printed = execFileSync("/bin/sh", ["-c", `printf '%s\\0' ${shellWords(words)}`], { encoding: "utf8" });
  expect(printed.split("\0").slice(0, -1)).toEqual(words);
});
