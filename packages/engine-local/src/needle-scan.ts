/** Looks for many byte strings at once in a stream that comes in pieces. */
export interface NeedleScan {
  /** Whether one of them is in a piece that stands alone. */
  within(bytes: Uint8Array): boolean;
  /** A scan across the pieces of one stream. */
  start(): (piece: Uint8Array) => boolean;
}

/**
 * Skips through the text by the pairs of bytes that occur in the needles' beginnings, so most bytes are never looked at.
 * Needles of less than two bytes are not looked for.
 */
export function needleScan(needles: readonly Uint8Array[]): NeedleScan {
  const wanted = needles.filter((needle) => needle.length >= 2).map((needle) => Buffer.from(needle));
  const shortest = Math.min(...wanted.map(({ length }) => length));
  const longest = Math.max(...wanted.map(({ length }) => length));
  const pairs = 1 << 16;
  // How far the window may move on when it ends with this pair; 0: a needle may be here.
  const skip = new Uint16Array(pairs).fill(Math.min(shortest - 1, 0xffff));
  const ending = new Map<number, Buffer[]>();
  for (const needle of wanted) {
    for (let at = 1; at < shortest; at++) {
      const pair = ((needle[at - 1] as number) << 8) | (needle[at] as number);
      const distance = shortest - 1 - at;
      if (distance < (skip[pair] as number)) skip[pair] = distance;
      if (distance === 0) ending.set(pair, [...(ending.get(pair) ?? []), needle]);
    }
  }

  const within = (bytes: Uint8Array): boolean => {
    if (wanted.length === 0) return false;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    let end = shortest - 1;
    while (end < text.length) {
      const pair = ((text[end - 1] as number) << 8) | (text[end] as number);
      const distance = skip[pair] as number;
      if (distance > 0) end += distance;
      else {
        const start = end - shortest + 1;
        for (const needle of ending.get(pair) as Buffer[])
          if (start + needle.length <= text.length && needle.compare(text, start, start + needle.length) === 0)
            return true;
        end++;
      }
    }
    return false;
  };

  return {
    within,
    start() {
      let tail: Uint8Array = new Uint8Array(0);
      return (piece) => {
        if (wanted.length === 0) return false;
        // What lies across the border of two pieces.
        const border = Buffer.concat([tail, piece.subarray(0, longest - 1)]);
        const found = within(border) || within(piece);
        tail = Buffer.concat([tail, piece.subarray(-(longest - 1))]).subarray(-(longest - 1));
        return found;
      };
    },
  };
}
