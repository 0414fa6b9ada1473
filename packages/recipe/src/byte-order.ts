/** Compares as the UTF-8 bytes do, which JavaScript's own order of strings does not beyond U+FFFF. */
export function compareBytes(a: string, b: string): number {
  if (a === b) return 0;
  const left = [...a];
  const right = [...b];
  for (let index = 0; index < left.length && index < right.length; index++) {
    const difference = (left[index]?.codePointAt(0) ?? 0) - (right[index]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Sorted, each once. */
export function sortedSet(values: readonly string[]): readonly string[] {
  return [...new Set(values)].sort(compareBytes);
}
