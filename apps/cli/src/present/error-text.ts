import {
  type EventBody,
  formatLocation,
  isMelangeError,
  type MelangeError,
  type Problem,
  printable,
} from "@melange2/core";

/** An error as people read it: what, where, what to do. No stack trace. */
export function errorText(error: MelangeError): string {
  const lines = [`melange2: error: ${placed(error)}`];
  for (const problem of furtherProblems(error)) {
    lines.push(`  ${placed(problem)}`);
    if (problem.hint) lines.push(`    ${problem.hint}`);
  }
  if (error.hint) lines.push(`  hint: ${error.hint}`);
  return printableLines(lines);
}

/** A warning in the same way. */
export function warningText(problem: Problem): string {
  return printableLines([
    `melange2: warning: ${placed(problem)}`,
    ...(problem.hint ? [`  hint: ${problem.hint}`] : []),
  ]);
}

function printableLines(lines: readonly string[]): string {
  return `${lines
    .flatMap((line) => line.split("\n"))
    .map(printable)
    .join("\n")}\n`;
}

function placed({ location, message }: Problem): string {
  return location ? `${formatLocation(location)}: ${message}` : message;
}

/** A problem that is the whole error was said already. */
function furtherProblems({ message, problems }: MelangeError): MelangeError["problems"] {
  return problems.length === 1 && problems[0]?.message === message ? [] : problems;
}

/** The same for machines. */
export function errorJson(error: MelangeError): object {
  const { code, message, hint, location, problems } = error;
  return {
    error: { code, message, hint, ...(location ? { location } : {}), ...(problems.length > 0 ? { problems } : {}) },
  };
}

/** The same for whoever reads a build's events: first the error, then what it lists. */
export function errorEvents(error: unknown): readonly EventBody[] {
  if (!isMelangeError(error)) return [{ type: "notice", level: "error", message: faultText(error).trimEnd() }];
  return [error, ...furtherProblems(error)].map((problem) => ({
    type: "notice",
    level: "error",
    message: placed(problem),
    ...(problem.hint ? { hint: problem.hint } : {}),
  }));
}

/** For an error that no boundary translated: a fault of ours. The stack is what a report needs. */
export function faultText(error: unknown): string {
  if (isMelangeError(error)) return errorText(error);
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `melange2: internal error: ${stack}\n  This is a fault in melange2; please report it with the lines above.\n`;
}
