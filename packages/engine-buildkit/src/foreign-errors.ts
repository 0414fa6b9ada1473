import { isBuildkitError } from "@melange2/buildkit-client";
import { type ErrorCode, isMelangeError, MelangeError } from "@melange2/core";
import { isOciError } from "@melange2/oci";

/**
 * Every place where the words of the daemon, of Docker and of Node become errors of ours. The rest of the package raises only through
 * these functions.
 */

/** Exit codes of the wrapper's own: before it runs anything; when all went well and what came of it cannot be kept. */
export const refusals = { missingTools: 98, noRoom: 99 } as const;

/** Whatever was thrown while talking to the daemon; errors of ours stay as they are. `doing`: "running main-2". */
export function translated(error: unknown, doing: string, code: ErrorCode = "engine"): MelangeError {
  if (isMelangeError(error)) return error;
  if (isBuildkitError(error)) {
    if (error.code === "aborted") return interrupted();
    // What this side could not take says more by itself: a full disk, a sink that was told to stop.
    if (error.code === "session" && isMelangeError(error.cause)) return error.cause;
    if (refusedToRun(error)) return stateGone();
    const said = withoutScripts(error.message);
    if (error.address !== undefined && diskFull.test(said)) {
      return new MelangeError(code, `${doing}: the disk of the daemon at ${error.address} is full: ${said}`, {
        hint: freeSpace,
        cause: error,
      });
    }
    return new MelangeError(code, `${doing}: ${said}`, { hint: hintOf(said) ?? error.hint, cause: error });
  }
  if (isOciError(error)) return new MelangeError(code, error.message, { hint: error.hint, cause: error });
  const reason = error instanceof Error ? error.message : String(error);
  return new MelangeError(code, `${doing}: ${reason}`, {
    hint: hintOf(reason) ?? (diskFull.test(reason) ? "Free space where that was written." : "See the daemon's log."),
    cause: error,
  });
}

/** Daemons name a process by all of its arguments; our wrapper and the step's script tell nobody what went wrong. */
function withoutScripts(message: string): string {
  return message
    .replace(/process "\/bin\/sh -c .*" did not complete successfully: /s, "")
    .replace(/executor failed running \[\/bin\/sh -c .*\]: /s, "");
}

const diskFull = /no space left on device|disk quota exceeded/i;
const freeSpace = "Free space there, as with buildctl prune.";

const hints: readonly (readonly [RegExp, string])[] = [
  [/network bridge not found/, "This Docker daemon has no network for steps: build with --no-network."],
  [/argument list too long/i, "All of a step's variables and words together must stay under 2 MiB."],
  [/no such file or directory.*\/bin\/sh|\/bin\/sh.*no such file or directory/, "The base needs /bin/sh."],
];

function hintOf(text: string): string | undefined {
  return hints.find(([pattern]) => pattern.test(text))?.[1];
}

/**
 * Whether a step would have had to run and nobody gave its capture secret: the result that was asked for is no longer there. Its variables
 * are secrets, too, and the daemon asks for all of them first.
 */
export function refusedToRun(error: unknown): boolean {
  return isBuildkitError(error) && /secret (?:m2-[0-9a-f]{40}|env\.)\S* not found/.test(error.message);
}

/** Whether a step came to its end, and the daemon's disk had no room for what it keeps of each result. */
export function neverKept(error: unknown): boolean {
  return isBuildkitError(error) && /error committing /.test(error.message) && diskFull.test(error.message);
}

export function engineError(message: string, hint: string, cause?: unknown): MelangeError {
  return new MelangeError("engine", message, { hint, cause });
}

export function usageError(message: string, hint: string, cause?: unknown): MelangeError {
  return new MelangeError("usage", message, { hint, cause });
}

export function interrupted(): MelangeError {
  return new MelangeError("interrupted", "interrupted", { hint: "Run the command again to go on." });
}

export function notFound(message: string, hint: string): MelangeError {
  return new MelangeError("not-found", message, { hint });
}

export function stateGone(): MelangeError {
  return new MelangeError("state-gone", "the daemon no longer has this state, and nothing was run to make it again", {
    hint: "Build again to have it again.",
  });
}

const runcFailure = /^.*(?:unable to start container process|starting container process caused).*$/m;

/** Whether a container could not be started because the state has no shell: the step's failure, and no fault of the daemon's. */
export function withoutShell(output: string): boolean {
  return /exec: "\/bin\/sh"/.test(runcFailure.exec(output)?.[0] ?? "");
}

/** For a state that is to be entered and has no shell; undefined where the error has another cause. */
export function shellMissing(error: unknown): MelangeError | undefined {
  if (!isBuildkitError(error) || error.code !== "solve-failed" || refusedToRun(error)) return undefined;
  return new MelangeError("engine", "this state has no /bin/sh that runs", {
    hint: "Read its files with melange2 debug cat and debug cp.",
    cause: error,
  });
}

/** What runc says on the stderr of a container that it could not start; undefined for any other text. */
export function startFailure(output: string): MelangeError | undefined {
  const said = runcFailure.exec(output)?.[0];
  if (said === undefined) return undefined;
  return engineError(`the daemon could not start a step: ${said}`, hintOf(said) ?? "See the daemon's log.");
}

export function missingTools(): MelangeError {
  return new MelangeError(
    "environment",
    "the base lacks what running steps on BuildKit takes: env, mkfifo, sleep and tee",
    {
      hint: "Add busybox or coreutils to the base.",
    },
  );
}

export function noRoom(address: string): MelangeError {
  return engineError(`the daemon at ${address} could not keep what a step left: its disk is full`, freeSpace);
}

export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw interrupted();
}

export function lostImage(name: string): MelangeError {
  return engineError(`the Docker daemon made the image ${name} and shows none of that name`, "Try again; see its log.");
}
