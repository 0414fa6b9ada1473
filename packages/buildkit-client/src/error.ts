const brand = Symbol.for("melange2.buildkit.error");

/** The closed set of what can go wrong; the message is for people and may change. */
export type BuildkitErrorCode =
  | "address" // a text that is no address
  | "unreachable" // nothing answers there, or not as a BuildKit daemon
  | "connection-lost" // it answered, and then no more
  | "solve-failed" // a vertex of the graph failed: see `vertex` and `exitCode`
  | "not-found" // a file, a reference or a job that the daemon has not
  | "unsupported" // this daemon is too old for what was asked, or has it turned off
  | "session" // what this side serves or receives failed: a sink, a tree, a path that leaves its destination
  | "request" // the daemon refuses what was asked
  | "aborted"; // an aborted signal

export interface BuildkitErrorDetails {
  /** What the reader can do about it. */
  readonly hint: string;
  readonly address?: string | undefined;
  readonly vertex?: string | undefined;
  readonly exitCode?: number | undefined;
  readonly cause?: unknown;
}

/** The one error class of this package. Recognise it with {@link isBuildkitError}: two copies may be installed. */
export class BuildkitError extends Error {
  readonly code: BuildkitErrorCode;
  readonly hint: string;
  /** The daemon that was talked to; undefined where it was none. */
  readonly address: string | undefined;
  /** Digest of the vertex that failed, as status events show it. Old daemons tell it only there. */
  readonly vertex: string | undefined;
  /** What the failed vertex's process exited with, if it was a process that ran. */
  readonly exitCode: number | undefined;
  readonly [brand] = true;

  constructor(code: BuildkitErrorCode, message: string, details: BuildkitErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "BuildkitError";
    this.code = code;
    this.hint = details.hint;
    this.address = details.address;
    this.vertex = details.vertex;
    this.exitCode = details.exitCode;
  }
}

export function isBuildkitError(value: unknown): value is BuildkitError {
  return typeof value === "object" && value !== null && brand in value;
}

/** The error of an aborted signal. */
export function abortedError(what: string, reason?: unknown): BuildkitError {
  return new BuildkitError("aborted", `${what} was aborted`, { hint: "Start it again.", cause: reason });
}
