import type { Place, Problems, Text } from "./source.ts";
import { closest } from "./spelling.ts";
import type { YamlNode } from "./yaml-document.ts";

/**
 * Reads one kind of value from YAML, strictly and by its target type: the same plain `1.10` is a string here and a number
 * there. Problems are collected; the value returned is then the type's zero.
 */
export interface Decoder<T> {
  decode(node: YamlNode, context: DecodeContext): T;
  /** What stands for a value that is not set, or null. */
  zero(place: Place): T;
}

export interface DecodeContext {
  readonly problems: Problems;
  /** Files that `uses` loads may carry keys nobody knows; recipes may not. */
  readonly unknownKeys: "error" | "ignore";
}

export type Decoded<D> = D extends Decoder<infer T> ? T : never;

function wrongType(node: YamlNode, wanted: string, context: DecodeContext): void {
  const found =
    node.kind === "scalar" ? `${node.plain ? "" : "the quoted text "}"${shorten(node.text)}"` : `a ${node.kind}`;
  context.problems.error(`${wanted} is needed here, not ${found}`, node.place);
}

function shorten(text: string): string {
  const line = text.split("\n")[0] ?? "";
  return line.length > 40 ? `${line.slice(0, 40)}…` : line;
}

function scalarDecoder<T>(wanted: string, zero: T, read: (text: string, plain: boolean) => T | undefined): Decoder<T> {
  return {
    zero: () => zero,
    decode(node, context) {
      if (node.kind === "null") return zero;
      const value = node.kind === "scalar" ? read(node.text, node.plain) : undefined;
      if (value === undefined) wrongType(node, wanted, context);
      return value ?? zero;
    },
  };
}

function textDecoder(template: boolean): Decoder<Text> {
  return {
    zero: (place) => ({ value: "", place, template }),
    decode(node, context) {
      if (node.kind === "list" || node.kind === "map") wrongType(node, "a text", context);
      if (node.kind === "scalar" && node.text.includes("\0")) {
        context.problems.error("a NUL character is in no text that a process can get", node.place, {
          hint: "Have the step make it, as with printf '\\000'.",
        });
      }
      return { value: node.kind === "scalar" ? node.text : "", place: node.place, template };
    },
  };
}

/** A text that is taken as it stands when the recipe is read. */
export const text: Decoder<Text> = textDecoder(false);
/** A text into which variables are pasted when the recipe is read. */
export const template: Decoder<Text> = textDecoder(true);

const trueWords = new Set(["true", "True", "TRUE", "y", "Y", "yes", "on"]);
const falseWords = new Set(["false", "False", "FALSE", "n", "N", "no", "off"]);

export const flag: Decoder<boolean> = scalarDecoder("true or false", false, (word, plain) => {
  if (!plain) return undefined;
  return trueWords.has(word) ? true : falseWords.has(word) ? false : undefined;
});

/** A whole number from `least` to `most`; a plain decimal fraction is cut, as melange does. */
export function integer(least: number, most: number): Decoder<number> {
  const wanted = least === 0 ? "a whole number, 0 or more and unquoted," : "a whole, unquoted number";
  return scalarDecoder(wanted, 0, (word, plain) => {
    const value = plain ? readNumber(word.replaceAll("_", "")) : undefined;
    return value !== undefined && value >= least && value <= most ? value : undefined;
  });
}

export const unsigned: Decoder<number> = integer(0, Number.MAX_SAFE_INTEGER);
export const signed: Decoder<number> = integer(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
/** A user's or group's number. */
export const accountId: Decoder<number> = integer(0, 2 ** 32 - 1);

function readNumber(word: string): number | undefined {
  const [, sign, digits] = /^([-+]?)(.+)$/.exec(word) ?? [];
  if (digits === undefined) return undefined;
  const factor = sign === "-" ? -1 : 1;
  if (/^0x[0-9a-fA-F]+$|^0o[0-7]+$|^0b[01]+$/.test(digits)) return factor * Number(digits);
  if (/^0[0-7]+$/.test(digits)) return factor * Number.parseInt(digits, 8);
  if (/^(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/.test(digits)) return factor * Math.trunc(Number(digits));
  return undefined;
}

const durationUnits: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  μs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
};

/** A duration such as `90m` or `1h30m`, in seconds. */
export const duration: Decoder<number> = scalarDecoder("a duration such as 90m or 1h30m", 0, (word, plain) => {
  const [, sign, rest = ""] = /^([-+]?)(.*)$/s.exec(word) ?? [];
  if (rest === "0" && !plain) return 0;
  const part = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;
  let seconds = 0;
  let end = 0;
  for (let match = part.exec(rest); match; match = part.exec(rest)) {
    seconds += Number(match[1]) * (durationUnits[match[2] ?? ""] ?? 0);
    end = part.lastIndex;
  }
  return end > 0 && end === rest.length ? (sign === "-" ? -seconds : seconds) : undefined;
});

export function list<T>(item: Decoder<T>): Decoder<readonly T[]> {
  return {
    zero: () => [],
    decode(node, context) {
      if (node.kind === "list") {
        return node.items.map((each) => (each.kind === "null" ? item.zero(each.place) : item.decode(each, context)));
      }
      if (node.kind !== "null") wrongType(node, "a list", context);
      return [];
    },
  };
}

/** A map with free keys, in the order of the file. */
export function mapOf<T>(value: Decoder<T>): Decoder<ReadonlyMap<string, T>> {
  return {
    zero: () => new Map(),
    decode(node, context) {
      if (node.kind === "map") {
        return new Map(
          node.entries.map((entry) => [
            entry.key,
            entry.value.kind === "null" ? value.zero(entry.value.place) : value.decode(entry.value, context),
          ]),
        );
      }
      if (node.kind !== "null") wrongType(node, "a map", context);
      return new Map();
    },
  };
}

/** Every record knows where it stands. */
export interface Placed {
  readonly at: Place;
}

type Fields = Readonly<Record<string, Decoder<unknown>>>;
export type RecordOf<F extends Fields> = { readonly [K in keyof F]: Decoded<F[K]> } & Placed;

/** A map with known keys. What is not set has its decoder's zero. `what` names it in messages: "a step". */
export function record<F extends Fields>(what: string, fields: () => F): Decoder<RecordOf<F>> {
  let known: F | undefined;
  const keys = (): F => {
    known ??= fields();
    return known;
  };
  const build = (place: Place, read: (key: string, decoder: Decoder<unknown>) => unknown): RecordOf<F> =>
    ({
      ...Object.fromEntries(Object.entries(keys()).map(([key, decoder]) => [key, read(key, decoder)])),
      at: place,
    }) as RecordOf<F>;
  const zero = (place: Place) => build(place, (_, decoder) => decoder.zero(place));
  return {
    zero,
    decode(node, context) {
      if (node.kind !== "map") {
        if (node.kind !== "null") wrongType(node, `a map (${what})`, context);
        return zero(node.place);
      }
      const values = new Map(node.entries.map((entry) => [entry.key, entry]));
      if (context.unknownKeys === "error") {
        for (const { key, keyPlace } of node.entries) {
          if (!Object.hasOwn(keys(), key)) reportUnknownKey(what, key, Object.keys(keys()), keyPlace, context.problems);
        }
      }
      return build(node.place, (key, decoder) => {
        const value = values.get(key)?.value;
        return value ? decoder.decode(value, context) : decoder.zero(node.place);
      });
    },
  };
}

function reportUnknownKey(what: string, key: string, known: readonly string[], at: Place, problems: Problems): void {
  const meant = closest(key, known);
  problems.error(`${what} has no key "${key}"`, at, {
    hint: meant ? `Did you mean "${meant}"?` : `Known keys: ${known.join(", ")}.`,
  });
}

/** A value whose absence means something. */
export function optional<T>(inner: Decoder<T>): Decoder<T | undefined> {
  return {
    zero: () => undefined,
    decode: (node, context) => (node.kind === "null" ? undefined : inner.decode(node, context)),
  };
}
