import { posix } from "node:path";
import { BuildkitError } from "../error.ts";

/**
 * Whether a path, relative and with slashes, matches by the rules of .dockerignore: what matches a directory matches all that is in it; of
 * several patterns the last one counts, and one that begins with `!` takes back. Throws for a pattern that is none.
 */
export function patternMatcher(patterns: readonly string[]): (path: string) => boolean {
  const rules = patterns
    .map((pattern) => pattern.trim())
    .filter((pattern) => pattern !== "")
    .map(compile);
  const verdicts = new Map<string, Verdict>();
  const verdictOn = (path: string): Verdict => {
    const known = verdicts.get(path);
    if (known !== undefined) return known;
    const slash = path.lastIndexOf("/");
    const above = slash < 0 ? undefined : verdictOn(path.slice(0, slash));
    let matched = false;
    const hits = rules.map(({ takesBack, expression }, index) => {
      // A rule that would change nothing is not tried, and so is no hit for what is in the directory either: this is how Docker counts.
      const hit = above?.hits[index] === true || (takesBack === matched && expression.test(path));
      if (hit) matched = !takesBack;
      return hit;
    });
    const verdict = { matched, hits };
    verdicts.set(path, verdict);
    return verdict;
  };
  return (path) => verdictOn(path).matched;
}

interface Verdict {
  readonly matched: boolean;
  /** By rule. */
  readonly hits: readonly boolean[];
}

function compile(rule: string): { readonly takesBack: boolean; readonly expression: RegExp } {
  const clean = posix.normalize(rule).replace(/(?<=.)\/$/, "");
  const takesBack = clean.startsWith("!");
  const pattern = takesBack ? clean.slice(1) : clean;
  try {
    if (pattern === "" || /^(?:\\.|\[(?:\\.|[^\]\\])+\]|[^\\[])*$/su.exec(pattern) === null)
      throw new SyntaxError(pattern);
    return { takesBack, expression: new RegExp(`^${translated(pattern)}$`, "su") };
  } catch (cause) {
    throw new BuildkitError("session", `"${rule}" is no pattern for paths`, {
      hint: "See the patterns of the graph's local source: brackets have to be closed.",
      cause,
    });
  }
}

/** `**` is any number of names, `*` and `?` stay within one name, brackets are as in regular expressions. */
function translated(pattern: string): string {
  // Before nothing but plain text, `**` at the beginning is any text: this, too, is how Docker has it.
  const ending = /^\*\*([^/*?[\]\\][^*?[\]\\]*)$/su.exec(pattern)?.[1];
  if (ending !== undefined) return `.*${Array.from(ending, escaped).join("")}`;
  const parts =
    /(?<rest>\*\*\/?$)|(?<names>\*\*\/?)|(?<name>\*)|(?<one>\?)|\\(?<literal>.)|(?<brackets>\[(?:\\.|[^\]\\])+\])|(?<other>.)/gsu;
  return Array.from(pattern.matchAll(parts), ({ groups = {} }) => {
    const { rest, names, name, one, literal, brackets, other = "" } = groups;
    if (rest !== undefined) return ".*";
    if (names !== undefined) return "(?:.*/)?";
    if (name !== undefined) return "[^/]*";
    if (one !== undefined) return "[^/]";
    return brackets ?? escaped(literal ?? other);
  }).join("");
}

function escaped(character: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(character) ? `\\${character}` : character;
}
