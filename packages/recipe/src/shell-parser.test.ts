import { readdirSync, readFileSync } from "node:fs";
import { print as printAlone } from "sh-syntax";
import { expect, test } from "vitest";
import { loadShellParser } from "./shell-parser.ts";

/** The texts of the built-in pipelines' scripts, and some that are no shell. */
function texts(): readonly string[] {
  const folder = new URL("../pipelines/", import.meta.url);
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".yaml"));
  const scripts = files.flatMap((name) =>
    readFileSync(new URL(name, folder), "utf8")
      .split(/^.*runs: \|\n/m)
      .slice(1),
  );
  return [...scripts, "if x\n", "echo 'open\n", "# nothing\n", "cat <<END\na\n\n\nb\nEND\n", "for i in 1; do\n", ")"];
}

/** What the package's own function says, which makes an instance for each text. */
function alone(text: string): Promise<unknown> {
  const style = { useTabs: true, keepComments: false, spaceRedirects: false };
  return printAlone(text, { ...style, binaryNextLine: false, switchCaseIndent: false }).then(
    (printed) => ({ printed }),
    ({ Text, Pos }) => ({ mistake: { message: Text, line: Pos.Line } }),
  );
}

test("an instance that parses many texts gives what an instance for each text gives", async () => {
  const parse = await loadShellParser();
  const expected = new Map<string, unknown>();
  for (const text of texts()) expected.set(text, await alone(text));
  // More rounds than one instance serves.
  for (let round = 0; round < 8; round++)
    for (const [text, wanted] of expected) {
      expect(parse(text), text).toEqual(wanted);
    }
});

test("a text that breaks its instance is refused, and the next text is parsed", async () => {
  const parse = await loadShellParser();
  for (const deep of ["$(".repeat(100_000), "(".repeat(500_000), "{ ".repeat(100_000)]) {
    expect(parse(deep)).toEqual({ mistake: { message: "it nests too deep or is too long", line: 1 } });
    expect(parse("echo a")).toEqual({ printed: "echo a\n" });
  }
});
