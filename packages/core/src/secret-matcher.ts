/** Finds needles in text even where line breaks, control characters or terminal escapes stand between their characters. */
export interface SecretMatcher {
  /**
   * The first stretch at or behind `from` that one needle or several overlapping ones fill, as offsets in `text`.
   * `end` is undefined where the text ends before it is clear how far the stretch reaches.
   */
  find(text: string, from: number): { readonly start: number; readonly end: number | undefined } | undefined;
}

/** How many characters of a needle stand before a line may break in it: most lines end with the first character of some needle. */
const leastBeforeBreak = 4;

/** Characters: what is between two characters of a needle is bounded, so that what is held back is bounded. */
const longestGap = 64;

// A control character, a CSI sequence, or a line break with the indentation behind it.
const control = /(?:(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f])+/y;
const controlOrBreak = /(?:(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|\n[ \t]*|[\u0000-\u0008\u000b-\u001f\u007f-\u009f])+/y;

const begun = Symbol("the text ends inside the needle");

/** @param needles As `allNeedles` gives them; empty ones match nothing. */
export function secretMatcher(needles: readonly string[]): SecretMatcher {
  const byFirst = new Map<number, string[]>();
  for (const needle of new Set(needles)) {
    if (needle === "") continue;
    const first = needle.charCodeAt(0);
    byFirst.set(first, [...(byFirst.get(first) ?? []), needle]);
  }

  /** The farthest end of a needle that begins here; begun where one may go on beyond the text. */
  function endAt(text: string, at: number): number | typeof begun | undefined {
    let farthest: number | undefined;
    for (const needle of byFirst.get(text.charCodeAt(at)) ?? []) {
      const end = endOf(text, at, needle);
      if (end === begun) return begun;
      if (end !== undefined && end > (farthest ?? 0)) farthest = end;
    }
    return farthest;
  }

  return {
    find(text, from) {
      if (byFirst.size === 0) return undefined;
      for (let start = from; start < text.length; start++) {
        let end = endAt(text, start);
        for (let at = start + 1; typeof end === "number" && at < end; at++) {
          const next = endAt(text, at);
          if (next === begun || (next ?? 0) > end) end = next;
        }
        if (end !== undefined) return { start, end: end === begun ? undefined : end };
      }
      return undefined;
    },
  };
}

function endOf(text: string, start: number, needle: string): number | typeof begun | undefined {
  let at = start;
  for (let matched = 0; matched < needle.length; matched++, at++) {
    if (at < text.length && text.charCodeAt(at) === needle.charCodeAt(matched)) continue;
    at = behindGap(text, at, matched);
    if (at >= text.length) return begun;
    if (text.charCodeAt(at) !== needle.charCodeAt(matched)) return undefined;
  }
  return at;
}

function behindGap(text: string, at: number, matched: number): number {
  const code = text.charCodeAt(at);
  if (code >= 0x20 && code < 0x7f) return at;
  const gap = matched < leastBeforeBreak ? control : controlOrBreak;
  gap.lastIndex = at;
  const { length } = gap.exec(text.slice(0, at + longestGap))?.[0] ?? "";
  // A sequence cut by the end of the text goes on behind it: its beginning alone matches as a control character.
  const open = text.slice(at + length);
  return length > 0 && length + open.length < longestGap && /^\[?[0-?]*[ -/]*$/.test(open) ? text.length : at + length;
}
