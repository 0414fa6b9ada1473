/**
 * The closed set of codes:
 * - `reference`: a text that names no image · `credentials`: a docker config or credential helper that cannot be used
 * - `unauthorized`: the registry refuses these credentials, or wants some · `not-found`: no such repository, manifest or blob
 * - `rate-limited`: too many requests, also after waiting · `unavailable`: no connection, or only server errors, after all attempts
 * - `tls`: a certificate that is not trusted, or no TLS at all · `rejected`: another refusal that asking again would not change
 * - `digest`: bytes that are not what their digest or size says · `protocol`: an answer outside the distribution protocol
 * - `proxy`: a proxy that is no proxy's address, or that refuses
 * - `unsupported`: an image that this client cannot use (platform, manifest or layer type)
 */
export type RegistryErrorCode =
  | "reference"
  | "credentials"
  | "unauthorized"
  | "not-found"
  | "rate-limited"
  | "unavailable"
  | "tls"
  | "rejected"
  | "digest"
  | "protocol"
  | "proxy"
  | "unsupported";

const brand = Symbol.for("melange2.registry-error");

export interface RegistryErrorDetails {
  /** What the reader can do about it, one sentence. */
  readonly hint: string;
  /** HTTP status, where an answer caused the error. */
  readonly status?: number | undefined;
  readonly cause?: unknown;
}

/**
 * What this package rejects with; an aborted signal rejects with the signal's own reason instead. Message, hint and cause
 * never hold a credential, a token or the query of a URL. Recognise it with {@link isRegistryError}.
 */
export class RegistryError extends Error {
  readonly code: RegistryErrorCode;
  readonly hint: string;
  readonly status: number | undefined;
  readonly [brand] = true;

  constructor(code: RegistryErrorCode, message: string, details: RegistryErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "RegistryError";
    this.code = code;
    this.hint = details.hint;
    this.status = details.status;
  }
}

export function isRegistryError(value: unknown): value is RegistryError {
  return typeof value === "object" && value !== null && brand in value;
}
