import type { CredentialsFor, DebugImage, Delivered, DeliverOptions, Tls } from "@melange2/core";
import {
  formatReference,
  isRegistryError,
  openRepository,
  type Proxies,
  pushImage,
  type Reference,
} from "@melange2/registry-client";
import { asMelangeError } from "./export-error.ts";

export interface RegistryDestination {
  readonly reference: Reference;
  readonly transport: Tls;
  readonly proxies: Proxies;
  readonly credentials: CredentialsFor;
}

/** Lets the engine push the image from where it is, or takes its bytes and pushes them. Rejects with `export`, or `interrupted` once the signal is aborted. */
export async function deliverToRegistry(
  image: DebugImage,
  destination: RegistryDestination,
  options: DeliverOptions,
): Promise<Delivered> {
  const { reference, transport, proxies, credentials } = destination;
  const { signal } = options;
  try {
    signal.throwIfAborted();
    const target = {
      kind: "registry",
      reference: formatReference(reference),
      transport,
      credentials: whereSafe(destination, signal),
    } as const;
    const delivered = await image.deliver(target, options);
    if (delivered !== undefined) return delivered;
    await using local = await image.open({ signal });
    using repository = openRepository(reference, { tls: transport, proxies, credentials, signal });
    return await pushImage(repository, local, { tag: reference.tag, signal, onProgress: options.onProgress });
  } catch (error) {
    throw asMelangeError(error, "export", signal);
  }
}

/**
 * Credentials for a program that pushes by itself, as a BuildKit daemon does: it would send them wherever the registry says, so that the
 * registry is asked first. Rejects where it wants them sent somewhere without encryption.
 */
function whereSafe(
  { reference, transport, proxies, credentials }: RegistryDestination,
  signal: AbortSignal,
): CredentialsFor {
  return async (host) => {
    const found = await credentials(host);
    if (found === undefined) return undefined;
    using repository = openRepository(reference, { tls: transport, proxies, credentials, signal, attempts: 2 });
    try {
      await repository.tryUpload();
    } catch (error) {
      // Whatever else is wrong, the daemon may see the registry from another place.
      if (isRegistryError(error) && error.code === "protocol") throw error;
    }
    return found;
  };
}
