import { type ErrorDetails, isMelangeError, MelangeError } from "@melange2/core";
import { isOciError } from "@melange2/oci";

/**
 * Every place where the words of mount, unshare, tar, the kernel and Node become errors of ours.
 * The rest of the package raises only through these functions.
 */

/** A helper process or the way into the sandbox failed. `stderr` is what it said. */
export function toolFailed(doing: string, code: number | string, stderr: string): MelangeError {
  const said = stderr.trim().split("\n").slice(-3).join("; ").slice(0, 600);
  return new MelangeError("engine", `${doing} failed (${code})${said === "" ? "" : `: ${said}`}`, {
    hint: hintFor(said),
  });
}

const hints: readonly (readonly [RegExp, string])[] = [
  [
    /unshare failed: Operation not permitted|uid_map|setgroups/,
    "this machine refuses user namespaces; run `melange2 check` (or the build as root) to see what it lacks",
  ],
  [
    /unshare failed: No space left/,
    "the kernel's limit of namespaces is reached: raise user.max_user_namespaces or end other sandboxes",
  ],
  [/newuidmap|newgidmap/, "the ranges in /etc/subuid and /etc/subgid must belong to this user and must not overlap"],
  [
    /mount.*(wrong fs type|unknown filesystem type|Invalid argument)/,
    "overlay needs kernel 5.11 or later and a state directory on ext4, xfs, btrfs or tmpfs, not on overlayfs or NFS",
  ],
  [
    /mount.*(permission denied|Operation not permitted|must be superuser)/i,
    "mounting is refused here, as in a container with default settings; run outside it, or with --privileged",
  ],
  [
    /No space left on device|Disk quota exceeded/i,
    "free space on the state directory's file system, or prune kept builds",
  ],
  [/Too many open files/, "raise the limit of open files: ulimit -n"],
  [/File name too long|Argument list too long/, "a step's script with its environment must stay under 128 KiB"],
];

function hintFor(text: string): string {
  return (
    hints.find(([pattern]) => pattern.test(text))?.[1] ??
    "see the message; the engine's check tells what the host lacks"
  );
}

export function missingTool(name: string): MelangeError {
  return new MelangeError("engine", `the program ${name} was not found`, {
    hint: `install ${packageOf(name)} and see that it is on PATH`,
  });
}

/** The package that brings a tool on most distributions. */
export function packageOf(tool: string): string {
  if (["setpriv", "unshare", "mount", "flock", "nsenter"].includes(tool)) return "util-linux";
  if (tool === "script") return "util-linux (bsdutils, util-linux-script)";
  if (tool === "capsh") return "libcap (libcap2-bin)";
  if (tool === "tar") return "GNU tar";
  if (tool === "ip") return "iproute2";
  if (tool === "newuidmap" || tool === "newgidmap") return "uidmap (shadow-utils)";
  return "GNU coreutils";
}

export function engineError(message: string, hint: string, cause?: unknown): MelangeError {
  return new MelangeError("engine", message, { hint, cause });
}

export function interrupted(): MelangeError {
  return new MelangeError("interrupted", "interrupted", { hint: "run the command again to go on" });
}

export function notFound(message: string, hint: string): MelangeError {
  return new MelangeError("not-found", message, { hint });
}

/** A spawn that never started. */
export function cannotStart(program: string, cause: NodeJS.ErrnoException): MelangeError {
  const details: ErrorDetails = {
    hint: hintFor(cause.code === "E2BIG" ? "Argument list too long" : cause.message),
    cause,
  };
  return new MelangeError("engine", `${program} could not be started: ${cause.message}`, details);
}

export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw interrupted();
}

/** What the system says of the engine's own files, as an error of ours; everything else as it is. */
export function fromSystem(error: unknown): unknown {
  const { errno, message } = error as NodeJS.ErrnoException;
  if (isMelangeError(error) || errno === undefined) return error;
  return engineError(`the state directory cannot be used: ${message}`, hintFor(message), error);
}

export function isDiskFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].includes((error as NodeJS.ErrnoException).code ?? "");
}

/** What `oci` says about layers, as an error of ours; everything else as it is. */
export function fromOci(error: unknown, code: "engine" | "environment"): unknown {
  return isOciError(error) ? new MelangeError(code, error.message, { hint: error.hint, cause: error }) : error;
}
