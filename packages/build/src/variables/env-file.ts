import { MelangeError } from "@melange2/core";

/**
 * The variables of a file, as godotenv 1.5.1 reads it, the library that melange uses: a comment begins behind a blank; double quotes have escapes
 * and `$NAME` for a variable further up, single quotes have neither, both go over several lines; a line may begin with `export`.
 * Throws code `usage`, with the place, where godotenv refuses the file and where a name is none that a shell can use.
 *
 * @param file Path, for messages.
 */
export function parseEnvFile(text: string, file: string): ReadonlyMap<string, string> {
  const source = text.replaceAll("\r\n", "\n");
  const variables = new Map<string, string>();
  for (let at = statementAt(source, 0); at < source.length; ) {
    const name = readName(source, at, file);
    const { value, end } = readValue(source, name.end, variables, file);
    variables.set(name.name, value);
    at = statementAt(source, end);
  }
  return variables;
}

const blanks = "\\t\\v\\f\\r \\u0085\\u00a0";
const leadingBlanks = new RegExp(`[${blanks}]*`, "y");
const outerBlanks = new RegExp(`^[${blanks}]+|[${blanks}]+$`, "g");
const blankBeforeHash = new RegExp(`[${blanks}]#`, "g");
const spaces = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*/y;
const namePattern = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Where the next statement begins, behind blank lines and comments; the text's end where there is none. */
function statementAt(source: string, from: number): number {
  let at = behind(spaces, source, from);
  while (source[at] === "#") {
    const end = source.indexOf("\n", at);
    if (end === -1) return source.length;
    at = behind(spaces, source, end);
  }
  return at;
}

/** `end`: where the value begins. */
function readName(source: string, from: number, file: string): { readonly name: string; readonly end: number } {
  const exported = /^export(?=[\t\v\f\r \u0085\u00a0])/.exec(source.slice(from, from + 7));
  const start = exported === null ? from : behind(leadingBlanks, source, from + exported[0].length);
  const length = source.slice(start).search(/[=:\n]/);
  const line = length === -1 ? source.slice(start) : source.slice(start, start + length);
  const sign = length === -1 ? undefined : source[start + length];
  if (sign === undefined || sign === "\n") throw refused('"=" is missing on this line', source, start, file);
  const name = line.replaceAll(outerBlanks, "");
  if (!namePattern.test(name)) throw refused("a variable's name is expected here", source, start, file);
  return { name, end: behind(leadingBlanks, source, start + length + 1) };
}

function readValue(
  source: string,
  from: number,
  variables: ReadonlyMap<string, string>,
  file: string,
): { readonly value: string; readonly end: number } {
  const quote = source[from];
  if (quote === '"' || quote === "'") {
    const end = closingQuote(source, from, quote);
    if (end === -1) throw refused(`the quote ${quote} is never closed`, source, from, file);
    // godotenv takes off every quote that stands at an end.
    const inner = source.slice(from, end).replace(quote === '"' ? /^"+|"+$/g : /^'+|'+$/g, "");
    return { value: quote === '"' ? expanded(unescaped(inner), variables) : inner, end: end + 1 };
  }
  const length = source.slice(from).search(/[\n\r]/);
  const end = length === -1 ? source.length : from + length;
  const line = source.slice(from, end);
  const comment = [...line.matchAll(blankBeforeHash)].at(-1);
  const written = comment === undefined ? line : line.slice(0, comment.index + 1);
  return { value: expanded(written.replaceAll(outerBlanks, ""), variables), end };
}

function closingQuote(source: string, from: number, quote: string): number {
  let at = source.indexOf(quote, from + 1);
  while (at !== -1 && source[at - 1] === "\\") at = source.indexOf(quote, at + 1);
  return at;
}

function unescaped(text: string): string {
  const breaks: Readonly<Record<string, string>> = { "\\n": "\n", "\\r": "\r" };
  return text.replaceAll(/\\[^\n]/g, (pair) => breaks[pair] ?? pair).replaceAll(/\\([^$])/g, "$1");
}

/** A `$NAME` or `${NAME}` that no line above sets is empty. */
function expanded(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replaceAll(
    /(\\)?\$\(?\{?([A-Z0-9_]+)?\}?/g,
    (all: string, escaped: string | undefined, name: string | undefined) => {
      if (escaped !== undefined) return all.slice(1);
      return name === undefined ? all : (variables.get(name) ?? "");
    },
  );
}

function behind(pattern: RegExp, source: string, at: number): number {
  pattern.lastIndex = at;
  return at + (pattern.exec(source)?.[0].length ?? 0);
}

/** The message shows nothing of the line, which may hold a secret. */
function refused(message: string, source: string, at: number, file: string): MelangeError {
  const before = source.slice(0, at);
  const location = { file, line: before.split("\n").length, column: at - before.lastIndexOf("\n") };
  return new MelangeError("usage", `variables file: ${message}`, {
    hint: "Lines have the form NAME=VALUE; a value of several lines stands in quotes.",
    location,
  });
}
