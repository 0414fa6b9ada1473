import type { StringMap } from "./bytes.ts";
import { OciError } from "./error.ts";

// Readers for untrusted JSON. Each throws `invalid` and names the place; null counts as absent, as Go writes empty maps and lists so.

export type JsonObject = Readonly<Record<string, unknown>>;

export function parseJson(content: Uint8Array, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content));
  } catch (cause) {
    throw new OciError(
      "invalid",
      `${what} is no JSON: ${(cause as Error).message}`,
      "The file is damaged or is something else.",
      cause,
    );
  }
  return object(value, what);
}

export function object(value: unknown, what: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(what, "an object", value);
  return value as JsonObject;
}

export function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(what, "a list", value);
  return value;
}

export function string(value: unknown, what: string): string {
  if (typeof value !== "string") throw wrong(what, "a string", value);
  return value;
}

/** A whole number of bytes, not negative, exact in a double. */
export function size(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw wrong(what, "a size in bytes", value);
  return value;
}

export function boolean(value: unknown, what: string): boolean {
  if (typeof value !== "boolean") throw wrong(what, "true or false", value);
  return value;
}

export function stringList(value: unknown, what: string): readonly string[] {
  return list(value, what).map((item, index) => string(item, `${what}[${index}]`));
}

export function stringMap(value: unknown, what: string): StringMap {
  return Object.fromEntries(
    Object.entries(object(value, what)).map(([key, item]) => [key, string(item, `${what}.${key}`)]),
  );
}

/** `{[key]: read(value)}`, or nothing where the value is absent: for spreading into an object with optional members. */
export function optional<K extends string, T>(
  parent: JsonObject,
  key: K,
  read: (value: unknown, what: string) => T,
  what: string,
): { readonly [P in K]?: T } {
  const value = parent[key];
  if (value === undefined || value === null) return {};
  return { [key]: read(value, `${what}.${key}`) } as { readonly [P in K]?: T };
}

function wrong(what: string, wanted: string, value: unknown): OciError {
  const found = value === undefined ? "nothing" : (JSON.stringify(value) ?? typeof value);
  return new OciError(
    "invalid",
    `${what} should be ${wanted}, found ${found.slice(0, 80)}`,
    "The image does not follow the OCI specification.",
  );
}
