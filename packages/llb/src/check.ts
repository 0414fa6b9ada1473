import { LlbError } from "./error.ts";

/** Refuses what is no text, and what no text of a process can hold. */
export function text(where: string, value: string): string {
  if (typeof value !== "string") throw new LlbError(where, `${value} is not a text`, "Give a string.");
  if (value.includes("\0")) throw new LlbError(where, "it holds a NUL character", "Leave that out.");
  return value;
}

/** Refuses an empty text as well. */
export function someText(where: string, value: string): string {
  if (text(where, value) === "") throw new LlbError(where, "it is empty", "Give a text of one character or more.");
  return value;
}

/** The name of an environment variable. */
export function variable(where: string, name: string): string {
  if (someText(where, name).includes("=")) {
    throw new LlbError(where, `"${name}" is not the name of a variable`, "Leave = out of it.");
  }
  return name;
}

/** Refuses what is not a whole number, and what the field of a message cannot hold or a daemon cuts without a word. */
export function whole<T extends number | bigint>(
  where: string,
  value: T,
  least: T,
  most: T,
  print: (value: T) => string = String,
): T {
  const is = typeof value === typeof least && (typeof value === "bigint" || Number.isInteger(value));
  if (is && value >= least && value <= most) return value;
  const range = `from ${print(least)} to ${print(most)}`;
  throw new LlbError(where, `${is ? print(value) : value} is not a whole number ${range}`, `Give one ${range}.`);
}

/** Permission bits of a file, told in octal. */
export function permissions(where: string, value: number, most: number): number {
  return whole(where, value, 0, most, (bits) => `0o${bits.toString(8)}`);
}

/** The number of a user or a group. */
export function ownerId(where: string, value: number): number {
  return whole(where, value, 0, 0xffff_ffff);
}
