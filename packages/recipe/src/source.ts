import { type Location, MelangeError, type Problem } from "@melange2/core";
import { LineCounter } from "yaml";

/** A YAML file as it was read: its name for messages and its text for positions. */
export interface SourceFile {
  readonly name: string;
  readonly text: string;
  readonly lines: LineCounter;
}

export function sourceFile(name: string, text: string): SourceFile {
  const lines = new LineCounter();
  lines.addNewLine(0);
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) lines.addNewLine(at + 1);
  return { name, text, lines };
}

/** A stretch of a file; offsets count UTF-16 units. */
export interface Place {
  readonly file: SourceFile;
  readonly start: number;
  readonly end: number;
}

/** Where a place begins, or where `needle` first stands in it. */
export function locationOf(place: Place, needle?: string): Location {
  const inside = needle ? place.file.text.slice(place.start, place.end).indexOf(needle) : -1;
  const { line, col } = place.file.lines.linePos(place.start + Math.max(inside, 0));
  return { file: place.file.name, line, column: col };
}

/** Where line `line` (from 1) of a scalar's value begins; the scalar itself where its style does not keep lines. */
export function lineWithin(place: Place, line: number): Place {
  const { text } = place.file;
  if (text[place.start] !== "|") return place;
  let start = place.start;
  for (let skipped = 0; skipped < line; skipped++) {
    const next = text.indexOf("\n", start);
    if (next === -1 || next >= place.end) return place;
    start = next + 1;
  }
  while (text[start] === " ") start += 1;
  return { ...place, start };
}

/**
 * A scalar with its place. `template`: variables known when the recipe is read are pasted into it at once;
 * otherwise only the compile pass, or nothing, looks at it. Not set in the file: an empty value, placed at its parent.
 */
export interface Text {
  readonly value: string;
  readonly place: Place;
  readonly template: boolean;
}

export function isText(value: unknown): value is Text {
  return typeof value === "object" && value !== null && "template" in value && "place" in value;
}

/** Collects everything that is wrong, so that a person sees it all at once. */
export interface Problems {
  readonly errors: readonly Problem[];
  readonly warnings: readonly Problem[];
  error(message: string, place: Place, details?: ProblemDetails): void;
  warn(message: string, place: Place, details?: ProblemDetails): void;
}

export interface ProblemDetails {
  readonly hint?: string;
  /** The text in the place that the problem is about. */
  readonly needle?: string;
}

/** Errors that are collected, and warnings. */
const mostProblems = 100;

/** `before`: warnings that are known already. */
export function collectProblems(before: readonly Problem[] = []): Problems {
  const errors: Problem[] = [];
  const warnings: Problem[] = [...before];
  const add = (list: Problem[], text: string, place: Place, details: ProblemDetails) => {
    if (list === warnings && warnings.length >= mostProblems) return;
    const location = locationOf(place, details.needle);
    const message = shortened(text);
    const same = list.some(
      (known) =>
        known.message === message && known.location?.line === location.line && known.location.file === location.file,
    );
    if (same) return;
    list.push({ message, location, hint: details.hint });
    // More are no help, and comparing each with all would take for ever.
    if (errors.length >= mostProblems) throw recipeError(place.file.name, errors);
  };
  return {
    errors,
    warnings,
    error: (message, place, details = {}) => add(errors, message, place, details),
    warn: (message, place, details = {}) => add(warnings, message, place, details),
  };
}

const longestMessage = 500;

/** A message whose middle is left out where a recipe's text has made it endless. */
function shortened(message: string): string {
  if (message.length <= longestMessage) return message;
  const half = longestMessage / 2;
  return `${message.slice(0, half)} … ${message.slice(-half)}`;
}

/** The one error for all problems of a recipe, in the order of the file. */
export function recipeError(file: string, problems: readonly Problem[]): MelangeError {
  const sorted = [...problems].sort(
    (a, b) =>
      Number(b.location?.file === file) - Number(a.location?.file === file) ||
      (a.location?.line ?? 0) - (b.location?.line ?? 0) ||
      (a.location?.column ?? 0) - (b.location?.column ?? 0),
  );
  const first = sorted[0];
  const message =
    sorted.length === 1 && first
      ? first.message
      : `${file} has ${sorted.length} problems; the first: ${first?.message}`;
  return new MelangeError("recipe", message, {
    hint: first?.hint ?? "Correct the recipe at the place named.",
    location: first?.location,
    problems: sorted,
  });
}
