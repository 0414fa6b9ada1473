import { isMelangeError, type OptionSchema } from "@melange2/core";
import { describe, expect, it } from "vitest";
import { optionsFromEnvironment, optionVariable, readOptions } from "./options.ts";

const options = {
  path: { type: "string", description: "where to", required: true },
  compression: { type: "enum", values: ["none", "gzip"], default: "gzip", description: "how" },
  fast: { type: "boolean", description: "hurry" },
  tag: { type: "list", description: "names" },
} satisfies OptionSchema;
const exporter = { kind: "exporter", name: "x", options } as const;
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
      readOptions(exporter, [
        given("compression", "lz4"),
        given("nope", "1"),
        given("fast", "maybe"),
        given("constructor", "1"),
      ]);
      expect.unreachable();
    } catch (error) {
      if (!isMelangeError(error)) throw error;
      expect(error.code).toBe("usage");
      expect(error.problems.map((problem) => problem.message)).toEqual([
        '--export-compression: "lz4" is none of none, gzip',
        '--export-nope: the exporter "x" has no option "nope"',
        '--export-fast: "maybe" is neither true nor false',
        '--export-constructor: the exporter "x" has no option "constructor"',
        "--export-path is missing: where to",
      ]);
    }
  });

  const problemsOf = (schema: OptionSchema, ...options: Parameters<typeof readOptions>[1]) => {
    try {
      return readOptions({ kind: "exporter", name: "x", options: schema }, options);
    } catch (error) {
      return isMelangeError(error) ? error.problems.map(({ message }) => message) : error;
    }
  };

  it("takes one value where there is one", () => {
    const other = { name: "path", value: "q", source: "--export-opt path" };
    expect(problemsOf(options, given("path", "p"), other)).toEqual([
      '--export-opt path: "path" has a value already, by --export-path',
    ]);
  });

  it("never repeats a value that may hold a credential, and takes none for a mistake", () => {
    const schema = { login: { type: "string", description: "who", pattern: "^\\w+$", sensitive: true } } as const;
    expect(problemsOf(schema, given("login", "secret:1"))).toEqual(["--export-login: its value does not fit ^\\w+$"]);
    expect(problemsOf(schema, given("login", ""))).toEqual([expect.stringContaining("its value is missing")]);
    expect(problemsOf(schema, given("login", "me"))).toEqual({ login: "me" });
  });
});

describe("optionsFromEnvironment", () => {
  it("gives what no flag gives, and nothing of other exporters", () => {
    const env = {
      MELANGE2_EXPORT_PATH: "from env",
      MELANGE2_EXPORT_TAG: "a b\nc\n",
      MELANGE2_EXPORT_FAST: "",
      MELANGE2_EXPORT_REF: "x",
    };
    expect(optionsFromEnvironment(exporter, [given("compression", "none")], env)).toEqual([
      { name: "path", value: "from env", source: "MELANGE2_EXPORT_PATH" },
      { name: "tag", value: "a b", source: "MELANGE2_EXPORT_TAG" },
      { name: "tag", value: "c", source: "MELANGE2_EXPORT_TAG" },
    ]);
    expect(optionsFromEnvironment(exporter, [given("path", "p"), given("tag", "t")], env)).toEqual([]);
  });

  it("leaves the variables alone that every export has", () => {
    expect(optionVariable("exporter", "tls-key")).toBe("MELANGE2_EXPORT_TLS_KEY");
    expect(optionVariable("exporter", "type")).toBeUndefined();
    const typed = { kind: "exporter", options: { type: { type: "string", description: "sort" } } } as const;
    expect(optionsFromEnvironment(typed, [], { MELANGE2_EXPORT_TYPE: "tarball" })).toEqual([]);
  });

  it("reads melange2's own variable before the one of other programs", () => {
    const engine = {
      kind: "engine",
      options: { "x-addr": { type: "string", description: "where", env: "X_HOST" } },
    } as const;
    const read = (env: Record<string, string>) => optionsFromEnvironment(engine, [], env);
    expect(read({ X_HOST: "a" })).toEqual([{ name: "x-addr", value: "a", source: "X_HOST" }]);
    const both = read({ X_HOST: "a", MELANGE2_ENGINE_X_ADDR: "b" });
    expect(both).toEqual([{ name: "x-addr", value: "b", source: "MELANGE2_ENGINE_X_ADDR" }]);
    expect(read({ X_HOST: "a", MELANGE2_ENGINE_X_ADDR: "" })).toEqual(read({ X_HOST: "a" }));
  });
});
