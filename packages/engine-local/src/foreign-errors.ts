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
    "This machine refuses user namespaces: allow them, or run the build as root.",
  ],
  [
    /unshare failed: No space left/,
    "The kernel's limit of namespaces is reached: raise user.max_user_namespaces, or end other sandboxes.",
  ],
  [/newuidmap|newgidmap/, "The ranges in /etc/subuid and /etc/subgid must belong to this user and must not overlap."],
  [
    /mount.*(wrong fs type|unknown filesystem type|Invalid argument)/,
    "Overlay needs kernel 5.11 or later and a state directory on ext4, xfs, btrfs or tmpfs, not on overlayfs or NFS.",
  ],
  [
    /mount.*(permission denied|Operation not permitted|must be superuser)/i,
    "Mounting is refused here, as in a container with default settings: run outside it, or with --privileged.",
  ],
  [
    /ENOSPC|EDQUOT|No space left on device|Disk quota exceeded/i,
    "Free space on that disk, or forget kept builds: melange2 debug prune.",
  ],
  [/EMFILE|ENFILE|Too many open files/i, "Raise the limit of open files: ulimit -n."],
  [/EROFS|Read-only file system/i, "Choose another state folder: set MELANGE2_STATE_DIR."],
  [
    /EAGAIN|Resource temporarily unavailable/i,
    "Raise the limit of processes: ulimit -u, or the control group's pids.max.",
  ],
  [
    /File name too long|Argument list too long/,
    "Give MELANGE2_STATE_DIR a shorter path, or the step a smaller environment.",
  ],
];

function hintFor(text: string): string {
  return (
    hints.find(([pattern]) => pattern.test(text))?.[1] ??
    "The message says what failed; see that the folder is yours and its disk is well."
  );
}

export function missingTool(name: string): MelangeError {
  return new MelangeError("engine", `the program ${name} was not found`, {
    hint: `Install ${packageOf(name)}, and see that it is on PATH.`,
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
  return new MelangeError("interrupted", "interrupted", { hint: "Run the command again to go on." });
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
export function fromSystem(error: unknown, stateDirectory: string): unknown {
  const { errno, message } = error as NodeJS.ErrnoException;
  if (isMelangeError(error) || errno === undefined) return error;
  return engineError(`the state directory ${stateDirectory} cannot be used: ${message}`, hintFor(message), error);
}

export function isDiskFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].includes((error as NodeJS.ErrnoException).code ?? "");
}

/** What `oci` says about layers, as an error of ours; everything else as it is. */
export function fromOci(error: unknown, code: "engine" | "environment"): unknown {
  return isOciError(error) ? new MelangeError(code, error.message, { hint: error.hint, cause: error }) : error;
}
