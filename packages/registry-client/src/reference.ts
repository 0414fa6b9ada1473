import { formatReference, parseReference as parseName, type Reference } from "@melange2/oci";
import { RegistryError } from "./error.ts";
import { fromOciError } from "./oci-errors.ts";

export type { Reference } from "@melange2/oci";
export { formatReference } from "@melange2/oci";

const dockerHub = "docker.io";
const dockerHubApi = "registry-1.docker.io";

/**
 * Parses `[registry/]repository[:tag][@digest]`; without a registry it is Docker Hub, whose own images live under `library/`.
 * Adds no tag. Throws {@link RegistryError} `reference`, and never repeats what could be a password.
 */
export function parseReference(text: string): Reference {
  if (text.includes("://")) {
    throw invalid(
      "an image reference does not start with a URL scheme",
      "Leave out https://: registry/repository:tag.",
    );
  }
  if (/@.*\//.test(text)) {
    throw invalid(
      "an image reference has something other than a digest after its @",
      "Credentials do not belong in a reference: use docker login.",
    );
  }
  try {
    const reference = parseName(text);
    // Docker Hub's API host is a name people copy from logs; its images are known by the other name.
    return reference.registry === dockerHubApi
      ? parseName(formatReference({ ...reference, registry: dockerHub }))
      : reference;
  } catch (error) {
    throw fromOciError(error, "reference");
  }
}

/** The host that serves a registry's API: Docker Hub's differs from its name. */
export function apiHost(registry: string): string {
  return registry === dockerHub ? dockerHubApi : registry;
}

/** Whether a host, with or without port, is this machine by its own name for itself. */
export function isLoopback(hostAndPort: string): boolean {
  const name = hostAndPort.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  return name === "localhost" || name === "::1" || /^127(?:\.\d{1,3}){3}$/.test(name);
}

function invalid(message: string, hint: string): RegistryError {
  return new RegistryError("reference", message, { hint });
}
