import { isBuildkitError, type Served } from "@melange2/buildkit-client";
import type { Delivered, DeliverOptions, Target } from "@melange2/core";
import { parseReference } from "@melange2/oci";
import { interrupted, translated } from "./foreign-errors.ts";
import { deliveredOf, type ImageExport } from "./image-export.ts";

type Registry = Extract<Target, { kind: "registry" }>;

/**
 * Has the daemon push the image, with the client's credentials for this registry and no others. undefined: the daemon cannot reach the
 * registry, or would not trust it, so that the client has to push; nothing was pushed then.
 */
export async function pushImage(
  image: ImageExport,
  target: Registry,
  daemonIsHere: boolean,
  { signal }: DeliverOptions,
): Promise<Delivered | undefined> {
  const { registry } = parseReference(target.reference);
  const { plain, insecure, ca } = target.transport;
  // No daemon takes an authority from its client; and this machine's own registry is another machine's nowhere.
  if (ca !== undefined || (isLoopback(registry) && !daemonIsHere)) return undefined;
  try {
    const { response } = await image.run({
      export: {
        type: "image",
        attributes: {
          ...image.attributes("gzip"),
          name: target.reference,
          push: "true",
          ...(plain || insecure ? { "registry.insecure": "true" } : {}),
        },
      },
      credentials: await credentialsFor(registry, target),
      signal,
    });
    // Daemons do not tell what they sent.
    return { ...deliveredOf(response), bytes: 0 };
  } catch (error) {
    if (signal.aborted) throw interrupted();
    if (isBuildkitError(error) && outOfReach.test(error.message)) return undefined;
    throw translated(error, `pushing to ${target.reference}`, "export");
  }
}

const outOfReach = /dial tcp|no such host|x509:|server gave HTTP response to HTTPS client/;

function isLoopback(registry: string): boolean {
  return /^(?:localhost|127(?:\.\d+){3}|\[::1\])(?::\d+)?$/.test(registry);
}

async function credentialsFor(registry: string, target: Registry): Promise<NonNullable<Served["credentials"]>> {
  const found = await target.credentials(registry);
  if (found === undefined) return {};
  const host = registry === "docker.io" ? "registry-1.docker.io" : registry;
  if ("identityToken" in found) return { [host]: { username: "", secret: found.identityToken } };
  return { [host]: { username: found.username, secret: found.password } };
}
