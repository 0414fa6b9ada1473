const brand = Symbol.for("melange2.llb.error");

/**
 * A graph that cannot be. Thrown where the mistake is made, never later at marshalling.
 * Recognise it with {@link isLlbError}: two copies of this package may be installed.
 */
export class LlbError extends Error {
  /** The op and the part of it: `exec`, `copy /etc`. */
  readonly where: string;
  /** What to do about it. */
  readonly hint: string;
  readonly [brand] = true;

  constructor(where: string, problem: string, hint: string) {
    super(`${where}: ${problem}`);
    this.name = "LlbError";
    this.where = where;
    this.hint = hint;
  }
}

export function isLlbError(value: unknown): value is LlbError {
  return typeof value === "object" && value !== null && brand in value;
}
