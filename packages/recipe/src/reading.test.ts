import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Decoder, duration, flag, integer, list, mapOf, record, text, unsigned } from "./decode.ts";
import { plain } from "./plain.ts";
import { collectProblems, sourceFile } from "./source.ts";
import { parseYaml } from "./yaml-document.ts";

/** The value, or the problems as `line:column message`. */
function read<T>(yaml: string, decoder: Decoder<T>): unknown {
  const problems = collectProblems();
  const node = parseYaml(sourceFile("f.yaml", yaml), problems);
  const value = node && decoder.decode(node, { problems, unknownKeys: "error" });
  if (problems.errors.length === 0) return plain(value);
  return problems.errors.map(({ message, location }) => `${location?.line}:${location?.column} ${message}`);
}

const field = <T>(decoder: Decoder<T>) => record("a thing", () => ({ v: decoder }));
const valueRead = <T>(source: string, decoder: Decoder<T>) => {
  const result = read(`v: ${source}\n`, field(decoder));
  return Array.isArray(result) ? "refused" : (result as { v: unknown }).v;
};

describe("a text is its source", () => {
  test.each([
    ["1.10", "1.10"],
    ["00303", "00303"],
    ["3.0", "3.0"],
    ["0x10", "0x10"],
    ["1e3", "1e3"],
    ["true", "true"],
    ["Yes", "Yes"],
    ["-1", "-1"],
    ["2001-01-01", "2001-01-01"],
    [".inf", ".inf"],
    ["null", ""],
    ["~", ""],
    ["", ""],
    ['"null"', "null"],
    ["'1.10'", "1.10"],
    ['"a\\tb"', "a\tb"],
    ["!!str null", "null"],
    ["!!int 1", "1"],
    ["|\n  a\n  b\n", "a\nb\n"],
    [">-\n  a\n  b\n", "a b"],
    ["[a]", "refused"],
    ["{a: b}", "refused"],
    ["!!binary aGk=", "refused"],
    ['"a\\0b"', "refused"],
  ])("%j is %j", (source, value) => expect(valueRead(source, text)).toBe(value));

  test("for every plain scalar", () => {
    const word = fc
      .stringMatching(/^[A-Za-z0-9.+_/=-]{1,20}$/)
      .filter((each) => !/^(null|Null|NULL|~|-+|=|\.{3,})$|^[-?:=]/.test(each));
    fc.assert(
      fc.property(word, (each) => {
        expect(valueRead(each, text)).toBe(each);
        expect(valueRead(JSON.stringify(each), text)).toBe(each);
      }),
    );
  });
});

test.each([
  ["1", 1],
  ["0x10", 16],
  ["0o10", 8],
  ["010", 8],
  ["0b11", 3],
  ["1_000", 1000],
  ["1.5", 1],
  ["1e2", 100],
  ["", 0],
  ['"1"', "refused"],
  ["-1", "refused"],
  ["one", "refused"],
  ["[1]", "refused"],
])("the number %j is %j", (source, value) => expect(valueRead(source, unsigned)).toBe(value));

test("a number has limits", () => {
  expect(valueRead("4294967295", integer(0, 2 ** 32 - 1))).toBe(4294967295);
  expect(valueRead("4294967296", integer(0, 2 ** 32 - 1))).toBe("refused");
  expect(valueRead("-5", integer(-10, 10))).toBe(-5);
});

test.each([
  ["true", true],
  ["True", true],
  ["yes", true],
  ["off", false],
  ["", false],
  ['"true"', "refused"],
  ["1", "refused"],
  ["maybe", "refused"],
])("the flag %j is %j", (source, value) => expect(valueRead(source, flag)).toBe(value));

test.each([
  ["90m", 5400],
  ["1h30m", 5400],
  ["1.5h", 5400],
  ["250ms", 0.25],
  ["-1s", -1],
  ["5", "refused"],
  ["5 m", "refused"],
  ["m", "refused"],
])("the duration %j is %j seconds", (source, value) => expect(valueRead(source, duration)).toBe(value));

describe("lists, maps and records", () => {
  test("are empty where nothing is set", () => {
    expect(valueRead("", list(text))).toEqual([]);
    expect(valueRead("~", mapOf(text))).toEqual({});
    expect(valueRead("", field(text))).toEqual({ v: "" });
    expect(valueRead("[a, ~]", list(text))).toEqual(["a", ""]);
    expect(valueRead("{a: }", mapOf(text))).toEqual({ a: "" });
  });

  test("are nothing else", () => {
    expect(valueRead("word", list(text))).toBe("refused");
    expect(valueRead("[a]", mapOf(text))).toBe("refused");
    expect(valueRead("[a]", field(text))).toBe("refused");
  });

  test("may come from anchors and merge keys, whose own values win", () => {
    const two = record("two", () => ({ a: mapOf(text), b: mapOf(text) }));
    expect(read("a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\n", two)).toEqual({
      a: { k: "1", l: "2" },
      b: { k: "3", l: "2" },
    });
    expect(read("a: {<<: 1}\n", two)).toEqual(["1:9 a merge key (<<) takes a map or a list of maps"]);
  });

  test("keep keys that JavaScript treats specially", () => {
    expect(Object.entries(valueRead("{__proto__: a, constructor: b, '1': c}", mapOf(text)) as object)).toEqual(
      expect.arrayContaining([
        ["__proto__", "a"],
        ["constructor", "b"],
        ["1", "c"],
      ]),
    );
    expect(read("__proto__: {}\n", field(text))).toEqual(['1:1 a thing has no key "__proto__"']);
  });
});

describe("what is no YAML, or too much of it", () => {
  test.each([
    ["v: [a", "1:"],
    ["v: a\nv: b\n", '2:1 the key "v" is already set in line 1'],
    ["v: *nowhere\n", "1:4 the anchor"],
    ["v: &a [*a]\n", '1:8 the anchor "a" contains itself'],
    ["? [a]\n: b\n", "1:3 a key must be a word"],
    ["%YAML 9.9\n---\nv: a\n", "1:"],
    ["v: @x\n", "1:4"],
    ["\tv: a\n", "1:"],
  ])("%j is refused", (yaml, message) => {
    expect((read(yaml, field(list(list(text)))) as readonly string[])[0]).toContain(message);
  });

  test("an alias means the nearest anchor of its name before it", () => {
    const yaml = "a: &x 1\nb: &outer [&x 2, *x]\nc: *outer\nd: &x 3\ne: *outer\nf: *x\n";
    const lists = record("lists", () => ({ a: text, b: list(text), c: list(text), d: text, e: list(text), f: text }));
    expect(plain(read(yaml, lists))).toEqual({ a: "1", b: ["2", "2"], c: ["2", "2"], d: "3", e: ["2", "2"], f: "3" });
  });
});
