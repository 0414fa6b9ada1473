import { isMelangeError, type OptionSchema } from "@melange2/core";
import { describe, expect, it } from "vitest";
import { readOptions } from "./options.ts";

const options = {
  path: { type: "string", description: "where to", required: true },
  compression: { type: "enum", values: ["none", "gzip"], default: "gzip", description: "how" },
  fast: { type: "boolean", description: "hurry" },
  tag: { type: "list", description: "names" },
} satisfies OptionSchema;
const exporter = { name: "x", options };
const given = (name: string, value: string) => ({ name, value, source: `--export-${name}` });

describe("readOptions", () => {
  it("reads by type, repeats lists and fills in defaults", () => {
    expect(
      readOptions(exporter, [given("path", "p"), given("tag", "a"), given("tag", "b"), given("fast", "true")]),
    ).toEqual({
      path: "p",
      compression: "gzip",
      fast: true,
      tag: ["a", "b"],
    });
  });

  it("reports every problem at once", () => {
    try {
      readOptions(exporter, [given("compression", "lz4"), given("nope", "1"), given("fast", "maybe")]);
      expect.unreachable();
    } catch (error) {
      if (!isMelangeError(error)) throw error;
      expect(error.code).toBe("usage");
      expect(error.problems.map((problem) => problem.message)).toEqual([
        '--export-compression: "lz4" is none of none, gzip',
        '--export-nope: the exporter "x" has no option "nope"',
        '--export-fast: "maybe" is neither true nor false',
        "--export-path is missing: where to",
      ]);
    }
  });
});
