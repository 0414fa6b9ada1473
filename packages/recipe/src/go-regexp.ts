/** Replaces every match of a regular expression, both in Go's dialect. Throws an Error that says what is wrong with `match`. */
export type ReplaceAll = (
  input: string,
  match: string,
  replacement: string,
  /** Called before the work with the most steps that the matching engine may take. */
  spend?: (steps: number) => void,
) => string;

/**
 * Go's `regexp.ReplaceAllString`. The expressions of recipes are RE2's, whose syntax, empty matches and templates differ from
 * JavaScript's. Loaded only where a recipe transforms variables.
 */
export async function loadReplaceAll(): Promise<ReplaceAll> {
  const { RE2JS } = await import("re2js");
  return (input, match, replacement, spend) => {
    const { pattern, groups } = distinctGroupNames(match);
    const expression = RE2JS.compile(pattern);
    // Each match looks, at worst, at all of the rest with all of its instructions.
    spend?.(expression.programSize() * (input.length + 1) ** 2);
    const matcher = expression.matcher(input);
    let result = "";
    let done = 0;
    let lastEnd = -1;
    while (matcher.find()) {
      const start = matcher.start();
      const end = matcher.end();
      // An empty match directly behind a match does not count.
      if (start === end && start === lastEnd) continue;
      const group = (name: string): string => {
        if (/^(0|[1-9]\d*)$/.test(name)) {
          return Number(name) <= matcher.groupCount() ? (matcher.group(Number(name)) ?? "") : "";
        }
        return (groups.get(name) ?? []).map((each) => matcher.group(each)).find((value) => value != null) ?? "";
      };
      result += input.slice(done, start) + expandTemplate(replacement, group);
      done = end;
      lastEnd = end;
    }
    return result + input.slice(done);
  };
}

/** Go's replacement template: `$1`, `$name`, `${name}`, `$$`; any other `$` is itself. */
function expandTemplate(template: string, group: (name: string) => string): string {
  return template.replace(
    /\$(?:(\$)|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu,
    (_, dollar: string | undefined, braced: string | undefined, bare: string | undefined) =>
      dollar ?? group(braced ?? bare ?? ""),
  );
}

/** Go accepts a group name more than once; the engine used here does not. Each repetition gets a name of its own. */
function distinctGroupNames(match: string): { pattern: string; groups: ReadonlyMap<string, readonly string[]> } {
  const groups = new Map<string, string[]>();
  const token = /\\Q[\s\S]*?(?:\\E|$)|\\[\s\S]|\[\^?\]?(?:\[:\^?\w+:\]|\\[\s\S]|[^\]\\])*\]|\(\?P?<(\w+)>/g;
  const pattern = match.replace(token, (text, name: string | undefined) => {
    if (name === undefined) return text;
    const names = groups.get(name) ?? [];
    const own = names.length === 0 ? name : `${name}_again${names.length}`;
    groups.set(name, [...names, own]);
    return `(?P<${own}>`;
  });
  return { pattern, groups };
}
