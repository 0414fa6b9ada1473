import { limits } from "./limits.ts";

/** A condition that cannot be read: what was wrong, and the offset in its text. */
export class ConditionError extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\", "'": "'", '"': '"', n: "\n", t: "\t" };

/**
 * Evaluates `'a' == "b"`, `!=`, `&&`, `||` and parentheses, strictly from left to right, without precedence. All variables
 * must have been substituted. Throws ConditionError.
 */
export function evaluateCondition(condition: string): boolean {
  let at = 0;

  const fail = (message: string): never => {
    throw new ConditionError(message, at);
  };
  const skipBlanks = () => {
    while (at < condition.length && /\s/.test(condition.charAt(at))) at += 1;
  };
  const operator = (choices: readonly string[]): string | undefined => {
    skipBlanks();
    const found = choices.find((choice) => condition.startsWith(choice, at));
    if (found) at += found.length;
    return found;
  };

  function literal(): string {
    skipBlanks();
    const quote = condition[at];
    if (quote === undefined) return fail("a value is missing at the end");
    if (quote !== "'" && quote !== '"') return fail(`a value in quotes is needed here, not "${quote}"`);
    let value = "";
    for (at += 1; ; at += 1) {
      const character = condition[at];
      if (character === undefined) return fail("the closing quote is missing");
      if (character === quote) break;
      const escaped = character === "\\" ? escapes[condition[at + 1] ?? ""] : undefined;
      value += escaped ?? character;
      if (escaped !== undefined) at += 1;
    }
    at += 1;
    return value;
  }

  let depth = 0;

  function term(): boolean {
    if (operator(["("])) {
      depth += 1;
      if (depth > limits.depth) fail(`parentheses lie more than ${limits.depth} deep in each other`);
      const value = expression();
      depth -= 1;
      if (!operator([")"])) fail('")" is missing');
      return value;
    }
    const left = literal();
    const comparison = operator(["==", "!="]);
    if (!comparison) return fail('"==" or "!=" is needed here');
    const right = literal();
    return (left === right) === (comparison === "==");
  }

  function expression(): boolean {
    let value = term();
    for (let next = operator(["&&", "||"]); next; next = operator(["&&", "||"])) {
      const right = term();
      value = next === "&&" ? value && right : value || right;
    }
    return value;
  }

  const result = expression();
  skipBlanks();
  if (at < condition.length) fail(`nothing may follow here, but "${condition.slice(at)}" does`);
  return result;
}

const goEscapes: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\v": "\\v",
  "\f": "\\f",
  "\r": "\\r",
  '"': '\\"',
  "\\": "\\\\",
};

/** A value as the double-quoted literal that variables become in a condition. */
export function quoteForCondition(value: string): string {
  const escaped = (character: string) =>
    goEscapes[character] ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return `"${value.replace(/[\u0000-\u001f\u007f"\\]/g, escaped)}"`;
}
