/** Foreign text for messages: what a terminal could take for a command, or a reader for another direction, is written as its number. */
export function printable(text: string): string {
  return text.replace(controls, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** The same in double quotes, at most 80 characters of it. */
export function quoted(text: string): string {
  return `"${printable(text.length > 80 ? `${text.slice(0, 80)}…` : text).replaceAll('"', '\\"')}"`;
}

const controls = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
