import { limits, refuseBeyond, TextTooLong } from "./limits.ts";
import type { Place, Problems, Text } from "./source.ts";

/** Variables by name: `package.name`, `vars.x`. */
export interface Variables {
  get(name: string): string | undefined;
  keys(): Iterable<string>;
}

/** Variables over others: what `inner` lacks, `outer` is asked for. Nothing is copied: thousands of layers may share one base. */
export function layered(outer: Variables, inner: Variables): Variables {
  return {
    get: (name) => inner.get(name) ?? outer.get(name),
    *keys() {
      yield* inner.keys();
      yield* outer.keys();
    },
  };
}

/**
 * The paste at reading time: exactly `${{name}}`, without blanks, for known names; everything else stays as it is.
 * One pass: what was pasted is not looked at again. Throws {@link TextTooLong}.
 */
export function pasteVariables(value: string, variables: Variables): string {
  if (!value.includes("${{")) return value;
  let length = value.length;
  return value.replace(/\$\{\{([^{}]+)\}\}/g, (reference, name: string) => {
    const pasted = variables.get(name) ?? reference;
    length += pasted.length - reference.length;
    if (length > limits.substituted) throw new TextTooLong();
    return pasted;
  });
}

const blank = /[ \t\r\n]*/y;
const name = /[A-Za-z0-9._-]*/y;

function skip(pattern: RegExp, value: string, from: number): number {
  pattern.lastIndex = from;
  pattern.exec(value);
  return pattern.lastIndex;
}

/** A reference that cannot be resolved: what is wrong with it, and its source text. */
export interface BadReference {
  readonly message: string;
  readonly reference: string;
  readonly name: string;
}

/**
 * The strict substitution of the compile pass: `${{`, blanks, a name, blanks, `}}`. Every reference must resolve; those that
 * do not are reported and stay as they are. `quote` shapes what is put in their place. Throws {@link TextTooLong}.
 */
export function substituteVariables(
  value: string,
  resolve: (name: string) => string | undefined,
  report: (bad: BadReference) => void,
  quote: (value: string) => string = (plain) => plain,
): string {
  let result = "";
  let done = 0;
  for (let start = value.indexOf("${{"); start !== -1; start = value.indexOf("${{", done)) {
    const nameStart = skip(blank, value, start + 3);
    const nameEnd = skip(name, value, nameStart);
    const close = skip(blank, value, nameEnd);
    const variable = value.slice(nameStart, nameEnd);
    const closed = value.startsWith("}}", close);
    const end = closed ? close + 2 : Math.max(nameEnd, start + 3);
    const reference = value.slice(start, end);
    const replacement = closed && variable !== "" ? resolve(variable) : undefined;
    if (replacement === undefined) {
      const message = !closed
        ? `the variable reference "${reference}" is not closed with }} after its name`
        : variable === ""
          ? "a variable reference without a name"
          : `the variable "${variable}" is not defined`;
      report({ message, reference, name: variable });
    }
    result += value.slice(done, start) + (replacement === undefined ? reference : quote(replacement));
    if (result.length > limits.substituted) throw new TextTooLong();
    done = end;
  }
  return result + value.slice(done);
}

export interface TextOptions {
  readonly quote?: (value: string) => string;
  /** Advice for a variable that is not defined. */
  readonly hint?: (name: string) => string | undefined;
  /** Called for each reference that does not resolve, beside the report. */
  readonly onBad?: () => void;
}

/**
 * Substitutes in a placed text, and in the values that are put there: a reference that a value holds sees the variables of the
 * place where the value is used. Reports what does not resolve, and values that refer to themselves, at the text's place.
 */
export function substituteText(
  text: Text,
  variables: Pick<Variables, "get">,
  problems: Problems,
  options: TextOptions = {},
): string {
  if (!text.value.includes("${{")) return text.value;
  const reported = new Set<string>();
  const open: string[] = [];
  const known = new Map<string, string>();

  const refuse = (message: string, reference: string, hint?: string): void => {
    options.onBad?.();
    if (reported.has(message)) return;
    reported.add(message);
    problems.error(message, text.place, { needle: reference, ...(hint === undefined ? {} : { hint }) });
  };
  const report = ({ message, reference, name: variable }: BadReference): void => {
    const holder = open.at(-1);
    const where = holder === undefined ? "" : `, which the value of "${holder}" holds`;
    refuse(message + where, reference, options.hint?.(variable));
  };
  const resolve = (variable: string): string | undefined => {
    const value = variables.get(variable);
    if (!value?.includes("${{")) return value;
    const before = known.get(variable);
    if (before !== undefined) return before;
    if (open.includes(variable)) {
      refuse(`the variable "${variable}" refers to itself: ${[...open, variable].join(" → ")}`, `\${{${open[0]}}}`);
      return "";
    }
    refuseDeepReferences(open.length, text.place);
    open.push(variable);
    const resolved = substituteVariables(value, resolve, report);
    open.pop();
    known.set(variable, resolved);
    return resolved;
  };
  return growing(text, () => substituteVariables(text.value, resolve, report, options.quote));
}

/** Ends the reading of a recipe whose variables refer to each other through more than the limit allows. */
export function refuseDeepReferences(depth: number, place: Place): void {
  if (depth >= limits.depth)
    refuseBeyond(`variables refer to each other more than ${limits.depth} deep`, place, "Give the value itself.");
}

/** Refuses, at the place of a text, what makes it grow beyond its limit. */
export function growing<T>(text: Text, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof TextTooLong)) throw error;
    const most = `${limits.substituted / 1024 / 1024} MiB`;
    return refuseBeyond(`the text grows beyond ${most} when its variables are substituted`, text.place, tooBig);
  }
}

const tooBig = "Look for variables that repeat each other.";
