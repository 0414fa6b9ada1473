import { lineWithin, type Place, type Problems } from "./source.ts";

/** A script fragment and the text it was made of. */
export interface ShellFragment {
  readonly fragment: string;
  readonly place: Place;
}

/**
 * Reports every fragment that is not valid bash, the dialect that melange checks against, so that a build does not find out in
 * its last step. Uses the same parser as melange.
 */
export async function checkShellSyntax(fragments: readonly ShellFragment[], problems: Problems): Promise<void> {
  const distinct = new Map(
    fragments.filter(({ fragment }) => fragment.trim() !== "").map((each) => [each.fragment, each]),
  );
  if (distinct.size === 0) return;
  const { parse } = await import("sh-syntax");
  const parses = async (text: string) => parse(text).catch((error: unknown) => ({ error }));

  // Starting the parser costs more than parsing: all fragments at once, each as a function of its own. Where one of them breaks
  // out of its function, the functions are not those that were written, and each fragment is looked at alone.
  const functions = [...distinct.keys()].map((fragment, index) => `f${index}() {\n:\n${fragment}\n\n}\n`);
  const all = await parses(functions.join(""));
  if (!("error" in all) && sameLines(all.Stmts, functions)) return;

  for (const { fragment, place } of distinct.values()) {
    const result = await parses(fragment);
    if (!("error" in result)) continue;
    const { message, line } = describe(result.error);
    problems.error(`line ${line} of the script is not valid shell: ${message}`, lineWithin(place, line));
  }
}

function sameLines(
  statements: readonly { readonly Position: { readonly Line: number } }[],
  functions: readonly string[],
): boolean {
  let line = 1;
  return (
    statements.length === functions.length &&
    functions.every((text, index) => {
      const expected = line;
      line += text.split("\n").length - 1;
      return statements[index]?.Position.Line === expected;
    })
  );
}

function describe(error: unknown): { readonly message: string; readonly line: number } {
  const { message, Pos } = error as { message?: string; Pos?: { Line?: number } };
  return { message: message ?? String(error), line: Pos?.Line ?? 1 };
}
