import { isMelangeError, MelangeError } from "@melange2/core";
import { isRegistryError, type RegistryErrorCode } from "@melange2/registry-client";

const hints: Partial<Record<RegistryErrorCode, string>> = {
  tls: "Name its certificate authority by --export-ca; --export-insecure does without, for a registry that you trust.",
  unavailable:
    "Check that the registry can be reached from here; the failed build is kept, melange2 debug export tries again.",
};

/** The hint for a kind of failure, in the words of this exporter's options. */
export function hintFor(code: RegistryErrorCode): string {
  return hints[code] ?? "The failed build is kept, melange2 debug export tries again, to any destination.";
}

/** The one place where errors of the registry client, and of what the layers are read from, become ours. `signal`: when it is aborted, that is what happened. */
export function asMelangeError(error: unknown, code: "usage" | "export", signal?: AbortSignal): MelangeError {
  if (signal?.aborted) {
    return new MelangeError("interrupted", "interrupted while the image was pushed", {
      hint: "The tag was not moved; melange2 debug export pushes the image later.",
      cause: error,
    });
  }
  if (isMelangeError(error)) return error;
  if (isRegistryError(error)) {
    return new MelangeError(code, error.message, { hint: hints[error.code] ?? error.hint, cause: error });
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new MelangeError(code, `the image cannot be pushed: ${reason}`, { hint: hintFor("rejected"), cause: error });
}
