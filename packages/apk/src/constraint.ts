import { compareVersions, isUnder, type Version } from "./version.ts";

/** How a version is asked for. `any` asks for none: also what every operator outside these means to apko, such as `==` or `~=`. */
export type Operator = "any" | "=" | ">" | "<" | ">=" | "<=" | "~";

/** What an entry of the world, a dependency or a provide says: `name[OPERATOR version][@tag]`. */
export interface Constraint {
  /** As it was written. */
  readonly text: string;
  readonly name: string;
  readonly operator: Operator;
  /** As written, also where the operator is one that means nothing; empty without one. */
  readonly version: string;
  /** The repository's tag that the package may come from; empty without one. */
  readonly tag: string;
  /** The operator as it was written, where it is one that means nothing. */
  readonly meaningless?: string;
}

const grammar = /^([^@=><~]+)(?:([=><~]+)([^@]+))?(?:@([A-Za-z0-9]+))?$/;
const operators: Readonly<Record<string, Operator>> = {
  "=": "=",
  ">": ">",
  "<": "<",
  ">=": ">=",
  "<=": "<=",
  "~": "~",
  "=~": "~",
};

/** A text that does not fit the grammar is a name as a whole, which no package has. `!` is no part of it: callers strip it. */
export function parseConstraint(text: string): Constraint {
  const match = grammar.exec(text.startsWith("so:") ? libraryVersion(text) : text);
  if (!match) return { text, name: text, operator: "any", version: "", tag: "" };
  const [, name = "", written, version = "", tag = ""] = match;
  if (written === undefined) return { text, name, operator: "any", version: "", tag };
  const operator = operators[written];
  if (operator !== undefined) return { text, name, operator, version, tag };
  return { text, name, operator: "any", version, tag, meaningless: written };
}

/** Whether a version is one that the operator and version ask for. */
export function satisfies(actual: Version, operator: Operator, wanted: Version): boolean {
  if (operator === "any") return true;
  if (operator === "~") return isUnder(actual, wanted);
  const order = compareVersions(actual, wanted);
  if (operator === "=") return order === 0;
  if (operator === ">") return order > 0;
  if (operator === "<") return order < 0;
  return operator === ">=" ? order >= 0 : order <= 0;
}

/** Shared libraries' versions without a revision count as below all that packages have: `so:x=1.2` is `so:x=0.1.2`. */
function libraryVersion(text: string): string {
  const equals = text.indexOf("=");
  if (equals < 0 || /-r[0-9]+$/.test(text.slice(equals + 1))) return text;
  return `${text.slice(0, equals + 1)}0.${text.slice(equals + 1)}`;
}
