import type { Placed } from "./decode.ts";
import { isText, type Text } from "./source.ts";

/** A decoded value without its places: texts are strings, maps are objects. The keys are those of the YAML. */
export type Plain<T> = T extends Text
  ? string
  : T extends ReadonlyMap<string, infer V>
    ? { readonly [key: string]: Plain<V> }
    : T extends readonly (infer V)[]
      ? readonly Plain<V>[]
      : T extends Placed
        ? { readonly [K in Exclude<keyof T, "at">]: Plain<T[K]> }
        : T;

export function plain<T>(value: T): Plain<T>;
export function plain(value: unknown): unknown {
  if (isText(value)) return value.value;
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, each]) => [key, plain(each)]));
  if (Array.isArray(value)) return value.map((each) => plain(each));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== "at")
      .map(([key, each]) => [key, plain(each)]),
  );
}

/** The same value with every text that `change` answers differently replaced; parts without a change are shared. */
export function mapTexts<T>(value: T, change: (text: Text) => Text): T;
export function mapTexts(value: unknown, change: (text: Text) => Text): unknown {
  if (isText(value)) return change(value);
  if (Array.isArray(value)) {
    const mapped = value.map((each) => mapTexts(each, change));
    return mapped.some((each, index) => each !== value[index]) ? mapped : value;
  }
  if (value instanceof Map) {
    const mapped = new Map([...value].map(([key, each]) => [key, mapTexts(each, change)]));
    return [...mapped].some(([key, each]) => each !== value.get(key)) ? mapped : value;
  }
  if (typeof value !== "object" || value === null) return value;
  const mapped: Record<string, unknown> = {};
  let changed = false;
  for (const [key, each] of Object.entries(value)) {
    mapped[key] = key === "at" ? each : mapTexts(each, change);
    changed ||= mapped[key] !== each;
  }
  return changed ? mapped : value;
}
