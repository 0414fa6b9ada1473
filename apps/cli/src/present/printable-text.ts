import { printable } from "@melange2/core";

/**
 * Lines as a terminal may get them: no name that a recipe, a step or a registry gave moves the cursor or changes what stands there. A line of a
 * log, in which a carriage return has a meaning, goes through `printable` itself first.
 */
export function printableText(text: string): string {
  return text
    .split("\n")
    .map((line) => printable(line.replaceAll("\r", " ")))
    .join("\n");
}

/** Text that is exact where a program or a file gets it, and printable where a terminal does. */
export function exactText(text: string, { isTTY }: { readonly isTTY?: boolean }): string {
  return isTTY ? printableText(text) : text;
}
