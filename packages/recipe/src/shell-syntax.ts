import { limits, refuseBeyond } from "./limits.ts";
import { loadShellParser, type ShellParser, type ShellResult } from "./shell-parser.ts";
import { lineWithin, type Place, type Problems } from "./source.ts";

/** A script fragment and the text it was made of. */
export interface ShellFragment {
  readonly fragment: string;
  readonly place: Place;
}

/**
 * Reports every fragment that is not valid bash, the dialect that melange checks against, so that a build does not find out in
 * its last step. Throws code `recipe` where the fragments are too long together.
 */
export function checkShellSyntax(parse: ShellParser, fragments: readonly ShellFragment[], problems: Problems): void {
  const distinct = new Map<string, Place>();
  for (const { fragment, place } of fragments) if (!distinct.has(fragment)) distinct.set(fragment, place);
  let characters = 0;
  for (const [fragment, place] of distinct) {
    characters += fragment.length;
    if (characters > limits.scripts)
      refuseBeyond(
        `the recipe's scripts have more than ${limits.scripts} characters`,
        place,
        "Make several recipes of this one.",
      );
    if (fragment.trim() === "") continue;
    const result = parse(fragment);
    if ("printed" in result) continue;
    const { mistake } = result;
    const message = `line ${mistake.line} of the script is not valid shell: ${mistake.message}`;
    problems.error(message, lineWithin(place, mistake.line));
  }
}

/** Characters of the scripts whose results are remembered. */
const mostRemembered = 2 * 1024 * 1024;

let shared: Promise<ShellParser> | undefined;

/** The process's parser, which remembers results: recipes repeat the scripts of the pipelines that they use. */
export function sharedShellParser(): Promise<ShellParser> {
  shared ??= loadShellParser().then((parse) => remembering(parse, mostRemembered));
  return shared;
}

/** The parser with a memory for at most `most` characters of script. */
function remembering(parse: ShellParser, most: number): ShellParser {
  const results = new Map<string, ShellResult>();
  let characters = 0;
  return (text) => {
    const known = results.get(text);
    if (known) return known;
    const result = parse(text);
    characters += text.length;
    if (characters > most) {
      results.clear();
      characters = text.length;
    }
    results.set(text, result);
    return result;
  };
}
