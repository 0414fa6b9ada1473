/** Secrets of fewer characters are neither masked nor searched for: they would be found everywhere. */
export const shortestSecret = 4;

/**
 * The texts that give a secret away: the secret itself, and of one with several lines each line that looks random, such as those of a key's body.
 * White space around the value is left out: a secret read from a file often ends with a newline that no output shows. Empty for a secret that is
 * too short.
 */
export function secretPieces(value: string): readonly string[] {
  const secret = value.trim().toWellFormed();
  if (secret.length < shortestSecret) return [];
  const lines = secret.split(/[\r\n]+/).map((line) => line.trim());
  return [...new Set([secret, ...(lines.length < 2 ? [] : lines.filter(looksRandom))])];
}

/** Lines that other files rightly hold, such as BEGIN lines, words, sentences, paths and URLs, do not. */
function looksRandom(line: string): boolean {
  if (line.length < 16 || /[\s:]|^[/.~-]|^[A-Z_]+=|^[a-z-]+$|^[A-Z-]+$/.test(line)) return false;
  if (/[0-9]/.test(line) && /[A-Za-z]/.test(line)) return true;
  return (line.match(/[a-z][A-Z]|[A-Z][a-z]/g)?.length ?? 0) >= line.length / 5;
}
