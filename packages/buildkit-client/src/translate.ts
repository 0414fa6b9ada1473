import { Code, ConnectError } from "@connectrpc/connect";
import { abortedError, BuildkitError, isBuildkitError } from "./error.ts";

/** Connect tells no more of a type than what follows its last slash. */
const vertexDetail = /\berrdefs\.Vertex\+json$/;
const exitDetail = /\bExitMessage\+json$/;
/** A daemon that knows the limit, and this side about one that does not. */
const cutOff = /\bNGHTTP2_(INTERNAL_ERROR|ENHANCE_YOUR_CALM)$/;

/**
 * The one place where gRPC's errors become this package's. `what` names the request: `solve`, `read /etc/passwd`.
 * `lost`: why the connection ended, if it has.
 */
export function translateError(error: unknown, what: string, context: ErrorContext): BuildkitError {
  if (isBuildkitError(error)) return error;
  if (context.signal?.aborted === true) {
    return isBuildkitError(context.signal.reason) ? context.signal.reason : abortedError(what, context.signal.reason);
  }
  if (context.lost !== undefined) return context.lost;
  const failure = ConnectError.from(error);
  const message = `${what}: ${failure.rawMessage}`;
  const { address } = context;
  const { vertex, exitCode } = describeFailure(failure);
  if (vertex !== undefined || exitCode !== undefined) {
    return new BuildkitError("solve-failed", message, {
      hint: "See the log of the failed vertex.",
      address,
      vertex,
      exitCode,
      cause: error,
    });
  }
  const [code, hint] = classify(failure);
  return new BuildkitError(code, message, { hint, address, cause: error });
}

export interface ErrorContext {
  readonly address: string;
  readonly signal: AbortSignal | undefined;
  readonly lost: BuildkitError | undefined;
}

/** Typed details where the daemon gives them; Docker 20.10 leaves them empty and has the exit code only in its text. */
function describeFailure(failure: ConnectError): { vertex: string | undefined; exitCode: number | undefined } {
  let vertex: string | undefined;
  let exitCode: number | undefined;
  for (const detail of failure.details) {
    if (!("type" in detail) || !(detail.value instanceof Uint8Array)) continue;
    if (vertexDetail.test(detail.type)) vertex = stringField(detail.value, "digest");
    else if (exitDetail.test(detail.type)) exitCode = numberField(detail.value, "Code");
  }
  return { vertex, exitCode: exitCode ?? exitCodeIn(failure.rawMessage) };
}

export function exitCodeIn(text: string): number | undefined {
  const code = /\bexit code: (\d+)/.exec(text)?.[1];
  return code === undefined ? undefined : Number(code);
}

/** Whether the daemon's answer was too large for the connection; an error's may be, which repeats the arguments of what failed. */
export function isCutOff({ cause }: BuildkitError): boolean {
  return cause instanceof ConnectError && !cause.isWireError && cutOff.test(cause.rawMessage);
}

function classify(failure: ConnectError): readonly [BuildkitError["code"], string] {
  switch (failure.code) {
    case Code.Unimplemented:
      return ["unsupported", "Use a newer daemon, or do without."];
    case Code.NotFound:
      return ["not-found", "It may have been pruned, or never was there."];
    case Code.PermissionDenied:
    case Code.Unauthenticated:
      return ["request", "Check the credentials, and what the daemon's configuration allows."];
    case Code.Unavailable:
    case Code.Aborted:
      return ["connection-lost", "Check that the daemon still runs, and try again."];
    default:
      if (/\bno such file or directory\b|\bnot found\b/.test(failure.rawMessage)) {
        return ["not-found", "It may have been pruned, or never was there."];
      }
      return ["request", "See the daemon's log for more."];
  }
}

function parseJson(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function stringField(bytes: Uint8Array, name: string): string | undefined {
  const value = parseJson(bytes)[name];
  return typeof value === "string" ? value : undefined;
}

function numberField(bytes: Uint8Array, name: string): number | undefined {
  const value = parseJson(bytes)[name];
  return typeof value === "number" ? value : undefined;
}
