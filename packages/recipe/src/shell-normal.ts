import type { ShellParser } from "./shell-parser.ts";

/**
 * A valid script as melange writes it: printed by its shell parser, without comments, each outermost statement after the other
 * without blank lines. A first line that begins with `#!` stays.
 */
export function normalizeScript(parse: ShellParser, script: string): string {
  const end = script.startsWith("#!") ? script.indexOf("\n") + 1 : 0;
  return script.slice(0, end) + withoutBlankLines(parse, printed(parse, script) ?? script);
}

function printed(parse: ShellParser, script: string): string | undefined {
  const result = parse(script);
  return "printed" in result ? result.printed : undefined;
}

/** Only blank lines between statements go; those inside a statement, such as the lines of a here-document, are its own. */
function withoutBlankLines(parse: ShellParser, script: string): string {
  // The printer ends a script with a line end, even one of which nothing is left.
  if (script === "\n") return "";
  if (!script.includes("\n\n")) return script;
  let result = "";
  let statements = "";
  for (const line of script.split(/(?<=\n)/)) {
    if (line === "\n" && printed(parse, statements) !== undefined) {
      result += statements;
      statements = "";
    } else {
      statements += line;
    }
  }
  return result + statements;
}
