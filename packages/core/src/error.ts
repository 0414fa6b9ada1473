/**
 * The closed set of error codes. The code decides the exit status and what a machine does with the error;
 * the message is for people and may change.
 */
export type ErrorCode =
  | "usage" // a flag, an argument or a combination of them
  | "recipe" // the recipe or a pipeline it uses
  | "environment" // the base or what the environment is made of
  | "plugin" // a plugin that is missing, broken or in conflict
  | "engine" // the engine or its daemon
  | "capture" // a state that cannot be captured
  | "export" // a debug image that cannot be delivered
  | "secret-found" // a secret's value was found in what would have been exported
  | "state-gone" // a kept state that the engine no longer has
  | "not-found" // a build, record or file that does not exist
  | "interrupted"; // Ctrl-C or an aborted signal

const brand = Symbol.for("melange2.error");

/** One place in a file; line and column count from 1. */
export interface Location {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface ErrorDetails {
  /** What the reader can do about it, a sentence or a command. */
  readonly hint: string;
  readonly location?: Location | undefined;
  /** Several findings of one kind (all problems of a recipe): each is shown, the message counts them. */
  readonly problems?: readonly Problem[];
  readonly cause?: unknown;
}

export interface Problem {
  readonly message: string;
  readonly location?: Location | undefined;
  readonly hint?: string | undefined;
}

/**
 * The one error class of melange2. Recognise it with {@link isMelangeError}, never with instanceof: two copies of this
 * package may be installed. Programming errors stay `TypeError`.
 */
export class MelangeError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly location: Location | undefined;
  readonly problems: readonly Problem[];
  readonly [brand] = true;

  constructor(code: ErrorCode, message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "MelangeError";
    this.code = code;
    this.hint = details.hint;
    this.location = details.location;
    this.problems = details.problems ?? [];
  }
}

export function isMelangeError(value: unknown): value is MelangeError {
  return typeof value === "object" && value !== null && brand in value;
}

/** `file:line:column`, the form that terminals and editors follow. */
export function formatLocation(location: Location): string {
  return `${location.file}:${location.line}:${location.column}`;
}
