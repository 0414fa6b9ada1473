import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Environment, type ImageConfig, MelangeError, type Platform } from "@melange2/core";
import { type OnProgress, openBase } from "@melange2/environment";
import type { PulledImage, Reference } from "@melange2/registry-client";

export interface BaseOptions {
  readonly platform: Platform;
  /** Where imported and pulled layers are kept. */
  readonly basesDirectory: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
}

/**
 * The environment that `--base` names: what lies at a path or, where nothing does, an image in a registry, `REGISTRY/IMAGE:TAG`. Its
 * layers are kept; those that are there already are not read or pulled again. Rejects with `usage` or `environment`.
 */
export async function baseEnvironment(base: string | undefined, options: BaseOptions): Promise<Environment> {
  if (base === undefined) {
    throw new MelangeError("usage", "no base to build in: --base is missing", { hint: acceptedBases });
  }
  if (!existsSync(base) && namesRegistry(base)) return pulledEnvironment(base, options);
  if (!existsSync(base)) {
    const missing = `there is no ${base}, and it names no image in a registry`;
    throw new MelangeError("environment", missing, { hint: acceptedBases });
  }
  const { platform, basesDirectory: cacheDirectory, signal, onProgress } = options;
  return (await openBase(base, { platform, cacheDirectory, signal, onProgress })).environment;
}

const acceptedBases =
  "Give a root filesystem: a folder, a tar, an OCI layout or archive, what docker save wrote, or REGISTRY/IMAGE:TAG.";

/** The registry has to be named, as in `docker.io/library/debian:12`: a mistyped file name must not become an image of Docker Hub. */
function namesRegistry(base: string): boolean {
  const host = /^([A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?|\[[0-9A-Fa-f:]+\](?::\d+)?)\/[a-z0-9]/.exec(base)?.[1];
  return host !== undefined && (host === "localhost" || /[.:]/.test(host));
}

async function pulledEnvironment(base: string, options: BaseOptions): Promise<Environment> {
  // A build in a local base never loads it.
  const { findCredentials, isRegistryError, parseReference, proxiesOf, pullImage } = await import(
    "@melange2/registry-client"
  );
  const { platform, env, signal } = options;
  try {
    const reference: Reference = parseReference(base);
    const image = await pullImage(reference, {
      platform,
      proxies: proxiesOf(env),
      cacheDirectory: join(options.basesDirectory, "pulled"),
      credentials: async (host) =>
        host === reference.registry ? findCredentials(reference, { env, signal }) : undefined,
      signal,
      onProgress: (done, total) => options.onProgress({ what: `pulling ${base}`, done, total }),
    });
    return { platform: image.platform, config: startConfig(image), layers: image.layers };
  } catch (error) {
    if (signal.aborted) {
      throw new MelangeError("interrupted", "interrupted while the base was pulled", { hint: "Start it again." });
    }
    if (!isRegistryError(error)) throw error;
    const hint = error.code === "tls" ? "Name its certificate authority in NODE_EXTRA_CA_CERTS=FILE." : error.hint;
    throw new MelangeError("environment", `there is no file ${base}, and it cannot be pulled: ${error.message}`, {
      hint,
      cause: error,
    });
  }
}

/** What of an image's config a build goes on with. */
function startConfig({ config }: PulledImage): ImageConfig {
  const kept = ["User", "Env", "Cmd", "Entrypoint", "WorkingDir", "Labels"] as const;
  return Object.fromEntries(kept.filter((key) => config[key] !== undefined).map((key) => [key, config[key]]));
}
