/** What went wrong, for programs; the message is for people and may change. */
export type OciErrorCode =
  | "invalid" // data that breaks a format: a field that is missing or of the wrong kind, a name that no grammar allows
  | "corrupt" // bytes that are not what their container says: checksums of tar headers, compressed data
  | "truncated" // input that ends too early
  | "digest-mismatch" // content that is not what its digest promises
  | "size-mismatch" // content longer or shorter than announced
  | "unsupported" // a valid form that this package does not read
  | "unsafe-path" // a tar entry that would leave its root
  | "not-found" // a blob, file or image that is not there
  | "no-platform"; // an image index without the wanted platform

const brand = Symbol.for("melange2.oci.error");

/** The one error class of this package; foreign file system errors pass through as they are. Recognise it with {@link isOciError}. */
export class OciError extends Error {
  readonly code: OciErrorCode;
  /** What the reader can do about it. */
  readonly hint: string;
  readonly [brand] = true;

  constructor(code: OciErrorCode, message: string, hint: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "OciError";
    this.code = code;
    this.hint = hint;
  }
}

export function isOciError(value: unknown): value is OciError {
  return typeof value === "object" && value !== null && brand in value;
}
