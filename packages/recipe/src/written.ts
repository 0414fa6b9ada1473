import { compareBytes } from "./byte-order.ts";

/** What YAML and JSON can say. */
export type Written = string | number | boolean | readonly Written[] | { readonly [key: string]: Written };

/** A record without what is empty, as melange writes records: no "", 0, false, empty list or empty map, except for the keys of `always`. */
export function written(
  record: Readonly<Record<string, Written | undefined>>,
  always: readonly string[] = [],
): { readonly [key: string]: Written } {
  return Object.fromEntries(
    Object.entries(record).filter(
      (entry): entry is [string, Written] =>
        entry[1] !== undefined && (always.includes(entry[0]) || !isEmpty(entry[1])),
    ),
  );
}

function isEmpty(value: Written): boolean {
  if (typeof value === "object") return Object.keys(value).length === 0;
  return value === "" || value === 0 || value === false;
}

/** A map with free keys, in the order of their bytes. */
export function writtenMap(map: ReadonlyMap<string, string> | Readonly<Record<string, string>>): Written {
  const entries = map instanceof Map ? [...map] : Object.entries(map);
  return Object.fromEntries(entries.sort(([a], [b]) => compareBytes(a, b)));
}

/** A duration as Go writes it: `1h30m0s`, `250ms`. */
export function writtenDuration(seconds: number): string {
  if (seconds === 0) return "";
  const sign = seconds < 0 ? "-" : "";
  const nanoseconds = Math.round(Math.abs(seconds) * 1e9);
  if (nanoseconds < 1e3) return `${sign}${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${sign}${nanoseconds / 1e3}µs`;
  if (nanoseconds < 1e9) return `${sign}${nanoseconds / 1e6}ms`;
  const whole = Math.floor(nanoseconds / 1e9);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const rest = (nanoseconds % 60e9) / 1e9;
  const parts = [hours > 0 ? `${hours}h` : "", hours > 0 || minutes > 0 ? `${minutes}m` : "", `${rest}s`];
  return sign + parts.join("");
}
