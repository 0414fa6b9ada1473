import { type CredentialsFor, defineExporter, type Finding, type Tls } from "@melange2/core";
import {
  findCredentials,
  formatReference,
  openRepository,
  type Proxies,
  proxiesOf,
  type Reference,
} from "@melange2/registry-client";
import { readAuthority } from "./authority.ts";
import { deliverToRegistry } from "./deliver-to-registry.ts";
import { asMelangeError, hintFor } from "./export-error.ts";
import { targetReference } from "./target-reference.ts";

/** How long the registry may take to answer before the build starts, in milliseconds. */
const probeTimeout = 15_000;

/**
 * An image in a registry. Layers that the repository has, or another one of the same registry that they were pulled from, are not
 * sent again. The tag moves when the image is complete; the receipt names the image by its digest, which stays what it is.
 */
export const registry = defineExporter({
  name: "registry",
  contract: 1,
  summary: "A push to a registry; the image contains the package's source code",
  options: {
    ref: {
      type: "string",
      required: true,
      description: "Where to push to, REGISTRY/REPOSITORY:TAG",
    },
    insecure: {
      type: "boolean",
      default: false,
      description: "Do not check the registry's certificate, and speak plain http where it has none",
    },
    ca: {
      type: "string",
      description: "PEM file of the certificate authority that the registry's certificate is from",
    },
  },
  async prepare({ ref, insecure, ca }, context) {
    const planned = targetReference(ref, context);
    const proxies = readProxies(context.env);
    const transport: Tls = {
      ...(insecure ? { insecure } : {}),
      ...(ca === undefined ? {} : { ca: await readAuthority(ca, context.cwd) }),
    };
    // The one place that credentials come from: for this registry, and of those for this repository.
    const credentialsFor =
      (reference: Reference, signal: AbortSignal): CredentialsFor =>
      async (host) =>
        host === reference.registry ? findCredentials(reference, { env: context.env, signal }) : undefined;

    return {
      destination: `${context.fill(ref)}, source code included`,
      probe: ({ signal }) => probe(planned, transport, proxies, (limited) => credentialsFor(planned, limited), signal),
      async export(image, options) {
        const reference = targetReference(ref, context, options.failure);
        const delivered = await deliverToRegistry(
          image,
          { reference, transport, proxies, credentials: credentialsFor(reference, options.signal) },
          options,
        );
        const pinned =
          delivered.manifest &&
          formatReference({
            registry: reference.registry,
            repository: reference.repository,
            digest: delivered.manifest.digest,
          });
        const runtimes = context.runtimes.length > 0 ? context.runtimes : ["docker"];
        return {
          ...delivered,
          location: formatReference(reference),
          open: runtimes.map((runtime) => [
            runtime,
            "run",
            "-it",
            "--rm",
            pinned ?? formatReference(reference),
            "/bin/sh",
          ]),
          note: "The image contains the package's source code: everybody who may pull it can read that.",
        };
      },
    };
  },
});

function readProxies(env: Readonly<Record<string, string | undefined>>): Proxies {
  try {
    return proxiesOf(env);
  } catch (error) {
    throw asMelangeError(error, "usage");
  }
}

/** Opens an upload and cancels it: what a push needs first, and nothing that stays. */
async function probe(
  reference: Reference,
  tls: Tls,
  proxies: Proxies,
  credentials: (signal: AbortSignal) => CredentialsFor,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const patience = AbortSignal.timeout(probeTimeout);
  const limited = AbortSignal.any([signal, patience]);
  using repository = openRepository(reference, {
    tls,
    proxies,
    credentials: credentials(limited),
    signal: limited,
    attempts: 2,
  });
  try {
    await repository.tryUpload();
    return [];
  } catch (error) {
    if (signal.aborted) throw asMelangeError(error, "export", signal);
    if (!patience.aborted) {
      const { message, hint } = asMelangeError(error, "export", signal);
      return [{ severity: "error", message, hint }];
    }
    const message = `${reference.registry} does not answer within ${probeTimeout / 1000} s`;
    return [{ severity: "error", message, hint: hintFor("unavailable") }];
  }
}
