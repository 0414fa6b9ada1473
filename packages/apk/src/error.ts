/**
 * The closed set of codes:
 * - `index`: an index that is damaged · `limit`: input larger than is allowed · `key`: a key that cannot be read
 * - `package`: a package file that is damaged, changed or not allowed · `conflict`: two packages that have one path
 * - `unavailable`: a repository or file that cannot be fetched · `repository`: a repository or key that is written wrongly
 * - `signature`: no good signature by a known key · `unresolvable`: no set of packages fulfils the world
 * - `cache`: the cache of indexes, keys and packages cannot be used
 */
export type ApkErrorCode =
  | "index"
  | "package"
  | "conflict"
  | "unavailable"
  | "repository"
  | "limit"
  | "key"
  | "signature"
  | "unresolvable"
  | "cache";

const brand = Symbol.for("melange2.apk.error");

export interface ApkErrorDetails {
  /** What the reader can do about it: a sentence that begins with a capital and ends with a full stop. */
  readonly hint: string;
  readonly cause?: unknown;
}

/** What this package throws and rejects with. Recognise it with {@link isApkError}. */
export class ApkError extends Error {
  readonly code: ApkErrorCode;
  readonly hint: string;
  readonly [brand] = true;

  constructor(code: ApkErrorCode, message: string, details: ApkErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "ApkError";
    this.code = code;
    this.hint = details.hint;
  }
}

export function isApkError(value: unknown): value is ApkError {
  return typeof value === "object" && value !== null && brand in value;
}
