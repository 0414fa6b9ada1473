import { isMelangeError, MelangeError } from "@melange2/core";

const unreachable: Readonly<Record<string, string>> = {
  ENOENT: "Start Docker, or set DOCKER_HOST if it listens elsewhere.",
  ECONNREFUSED: "Start Docker, or set DOCKER_HOST if it listens elsewhere.",
  EACCES: "You may not use this socket: join its group (usually docker), or use a rootless Docker or podman.",
  EPERM: "You may not use this socket: join its group (usually docker), or use a rootless Docker or podman.",
  ENOTFOUND: "Check the host's name in DOCKER_HOST or the docker context.",
  EHOSTUNREACH: "Check the network, and the address in DOCKER_HOST or the docker context.",
  ETIMEDOUT: "Check the network, and the address in DOCKER_HOST or the docker context.",
};

/** Node's errors on the way to a daemon, as ours with code `export`. Ours stay as they are. */
export function connectionError(error: unknown, address: string): MelangeError {
  if (isMelangeError(error)) return error;
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  const hint = unreachable[code];
  if (hint) return exportError(`no Docker daemon answers at ${address} (${code})`, hint, error);
  const reason = error instanceof Error ? error.message : String(error);
  if (/^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO)/.test(code)) {
    return exportError(
      `no trusted TLS connection to the Docker daemon at ${address}: ${reason}`,
      "Check the certificates in DOCKER_CERT_PATH or the docker context.",
      error,
    );
  }
  if (code === "ECONNRESET" || code === "EPIPE") {
    return exportError(
      `the Docker daemon at ${address} cut the connection`,
      "Look at the daemon's log, then try again.",
      error,
    );
  }
  return exportError(`the Docker daemon at ${address} cannot be used: ${reason}`, "Look at the daemon's log.", error);
}

/** A daemon that took the connection and then said nothing for `silence` milliseconds. */
export function silentDaemon(address: string, silence: number): MelangeError {
  return exportError(
    `the Docker daemon at ${address} has said nothing for ${silence / 1000} s`,
    "Look at the daemon's log, or restart the daemon, then try again.",
  );
}

/** What a daemon answered instead of doing it. */
export function refusedByDaemon(what: string, status: number, message: string): MelangeError {
  const said = printable(message);
  const answer = status === 200 ? said : `${said} (HTTP ${status})`;
  const hint = /no space left/i.test(message)
    ? "Free space where the daemon keeps its data: docker system df shows what it holds."
    : "Look at the daemon's log; the failed build is kept, melange2 debug export tries again.";
  return exportError(`the Docker daemon did not ${what}: ${answer}`, hint);
}

/** What went wrong on our side of an archive, before it reached the daemon. */
export function unreadableImage(error: unknown): MelangeError {
  const reason = error instanceof Error ? error.message : String(error);
  const hint = "The engine's data may be damaged; melange2 debug export tries again.";
  return exportError(`the image cannot be read: ${reason}`, hint, error);
}

export function exportError(message: string, hint: string, cause?: unknown): MelangeError {
  return new MelangeError("export", message, { hint, cause });
}

export function interrupted(): MelangeError {
  return new MelangeError("interrupted", "interrupted while the image was loaded", {
    hint: "The failed build is kept; melange2 debug export loads it later.",
  });
}

const longestMessage = 1000;

/** A daemon's words without control characters, which a terminal would obey, and at most 1000 characters of them. */
function printable(message: string): string {
  return message
    .replace(/\p{Cc}+/gu, " ")
    .trim()
    .slice(0, longestMessage);
}
