import { none, open, type Pattern, patternsOf } from "./secret-patterns.ts";

/** Finds secrets in bytes, in every form in which they betray themselves: see {@link patternsOf}. */
export interface SecretMatcher {
  /** Bytes that the longest match may span; what a scan of a stream keeps of the piece before. */
  readonly longest: number;
  /**
   * The first stretch at or behind `from` that one secret or several overlapping ones fill. `end` is undefined where the bytes end before it is
   * clear whether a secret stands there, and `complete` does not say that nothing follows.
   */
  find(
    bytes: Uint8Array,
    from: number,
    complete: boolean,
  ): { readonly start: number; readonly end: number | undefined } | undefined;
}

/** Bytes. */
const longStretch = 4096;

/** `values`: of secrets; those that are too short are never found. */
export function secretMatcher(values: readonly string[]): SecretMatcher {
  const patterns = values.flatMap(patternsOf);
  const byFirst: Pattern[][] = Array.from({ length: 256 }, () => []);
  // Whether a pattern may begin with these two bytes: nearly all places of nearly all files are passed over by one look.
  const pairs = new Uint8Array(1 << 16);
  for (const pattern of patterns)
    for (const [first, seconds] of pattern.beginnings) {
      byFirst[first]?.push(pattern);
      for (const second of seconds) pairs[(first << 8) | second] = 1;
    }
  const longest = Math.max(0, ...patterns.map((pattern) => pattern.longest));

  /** The farthest end of a secret that begins here. */
  function endAt(bytes: Uint8Array, at: number, complete: boolean): number {
    let farthest = none;
    for (const pattern of byFirst[bytes[at] as number] ?? []) {
      const end = pattern.match(bytes, at, complete);
      if (end === open && !complete) return open;
      if (end > farthest) farthest = end;
    }
    return farthest;
  }

  return {
    longest,
    find(bytes, from, complete) {
      if (patterns.length === 0) return undefined;
      const last = bytes.length - 1;
      for (let start = from; start <= last; start++) {
        if (start < last && pairs[((bytes[start] as number) << 8) | (bytes[start + 1] as number)] === 0) continue;
        let end = endAt(bytes, start, complete);
        if (end === none) continue;
        // Of a very long one, another secret that overlaps it is looked for at its end only.
        const inside = end - start > longStretch ? end - 16 : start + 1;
        for (let at = inside; at < end; at++) {
          const next = endAt(bytes, at, complete);
          if (next === open) end = open;
          else if (next > end) end = next;
        }
        return { start, end: end === open ? undefined : end };
      }
      return undefined;
    },
  };
}

/** Whether a stream of bytes holds a secret. Remembers the end of each piece, so that one across two pieces is found. */
export function secretScan(matcher: SecretMatcher): (piece: Uint8Array) => boolean {
  let tail: Uint8Array = new Uint8Array(0);
  return (piece) => {
    const border = joined(tail, piece.subarray(0, matcher.longest));
    tail =
      piece.length >= matcher.longest
        ? piece.slice(piece.length - matcher.longest)
        : joined(tail, piece).slice(-matcher.longest);
    return holdsSecret(matcher, border) || holdsSecret(matcher, piece);
  };
}

export function holdsSecret(matcher: SecretMatcher, bytes: Uint8Array): boolean {
  return matcher.find(bytes, 0, true) !== undefined;
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  if (one.length === 0) return other;
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
