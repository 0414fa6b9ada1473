import { defineExporter, type Finding, imageName, isMelangeError } from "@melange2/core";
import { type Daemon, type DaemonFacts, daemonAt } from "./daemon.ts";
import { type Endpoint, resolveEndpoint } from "./endpoint.ts";
import { loadImage } from "./load-image.ts";

/** How long a daemon may take to answer before the build starts, in milliseconds. */
const probeTimeout = 10_000;

/**
 * An image in the Docker daemon that docker's own client would use, or in podman through its Docker-compatible socket. What the
 * daemon has already is not sent again. An image that had the name before stays in the daemon, and the receipt's note names its ID.
 */
export const docker = defineExporter({
  name: "docker",
  contract: 1,
  summary: "An image in the local Docker daemon",
  options: {
    ref: {
      type: "string",
      description: "The image's name, NAME:TAG",
      default: "melange2-debug:{package}-{build}",
    },
  },
  async prepare({ ref }, context) {
    imageName(ref, (placeholder) => context.fill(placeholder));
    const endpoint = await resolveEndpoint(context.env);
    const daemon = daemonAt(endpoint);
    return {
      destination: `${context.fill(ref)} in Docker at ${endpoint.address}`,
      probe: ({ signal }) => probe(daemon, context.arch, signal),
      async export(image, options) {
        const name = imageName(ref, (placeholder) => context.fill(placeholder, options.failure));
        const facts = await daemon.facts(options.signal);
        const { note, ...delivered } = await loadImage(image, name, daemon, facts, options);
        return {
          ...delivered,
          location: endpoint.clientArguments.length === 0 ? name : `${name} at ${endpoint.address}`,
          open: [[...client(endpoint, facts, context.runtimes), "run", "-it", "--rm", name, "/bin/sh"]],
          ...(note === undefined ? {} : { note }),
        };
      },
    };
  },
});

async function probe(daemon: Daemon, arch: string, signal: AbortSignal): Promise<readonly Finding[]> {
  const patience = AbortSignal.timeout(probeTimeout);
  try {
    const facts = await daemon.facts(AbortSignal.any([signal, patience]));
    const other = goArchitecture(facts.architecture) !== goArchitecture(arch);
    if (facts.architecture === "" || !other) return [];
    return [
      {
        severity: "warning",
        message: `the Docker daemon runs ${facts.architecture}, the image will be ${arch}`,
        hint: "It loads; running it there needs emulation (qemu-user-static and binfmt).",
      },
    ];
  } catch (error) {
    if (signal.aborted || !isMelangeError(error)) throw error;
    const message = patience.aborted
      ? `the Docker daemon does not answer within ${probeTimeout / 1000} s`
      : error.message;
    const hint = patience.aborted ? "Look at the daemon's log, or restart it." : error.hint;
    return [{ severity: "error", message, hint }];
  }
}

function goArchitecture(name: string): string {
  return { x86_64: "amd64", aarch64: "arm64", armv7l: "arm", armv7: "arm", armhf: "arm" }[name] ?? name;
}

/** The program and arguments that reach the same daemon. */
function client(endpoint: Endpoint, { product }: DaemonFacts, runtimes: readonly string[]): readonly string[] {
  if (product === "podman" && runtimes.includes("podman")) return ["podman", "--url", endpoint.address];
  return ["docker", ...endpoint.clientArguments];
}
