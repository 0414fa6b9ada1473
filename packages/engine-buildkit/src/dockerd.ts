import { randomUUID } from "node:crypto";
import type { DebugImage, Delivered, Environment, ImageSpec, Layer, LocalImage } from "@melange2/core";
import { image } from "@melange2/llb";
import { type Blob, compressionOf, hexOf, readyBlob, writeArchive } from "@melange2/oci";
import { baseImage } from "./base-image.ts";
import type { BuildSpace } from "./build-space.ts";
import type { Daemon } from "./daemon.ts";
import { type DockerApi, type DockerFacts, dockerApi } from "./docker-api.ts";
import { flattened } from "./flattened-state.ts";
import { interrupted, lostImage, throwIfAborted, translated } from "./foreign-errors.ts";
import { exportImage } from "./image-job.ts";
import type { BaseFacts, BuildkitSnapshot } from "./snapshot.ts";
import { spoolImage } from "./spool-image.ts";
import { writeLocalArchive } from "./write-local-archive.ts";

/** Of 128 that its storage takes, some are for what is made of a state. */
const layerLimit = 120;

/**
 * The BuildKit inside a Docker daemon. It knows no OCI layouts and only its own exporter: bases enter as images of the daemon, images
 * leave through the daemon's own API.
 */
export async function dockerd(socketPath: string, signal: AbortSignal): Promise<Daemon> {
  const docker = dockerApi(socketPath);
  const { store } = await docker.facts(signal);
  return {
    claims: ["archive", "docker-daemon"],
    takesApart: store === "containerd",
    comparesTimes: store === "containerd",
    stores: {},
    roomFor: ({ base, units }) => base.layers.length + units < layerLimit,
    addBase: (environment, signal) => addBase(docker, store, environment, signal),
    hasBase: async ({ name }, signal) => (await docker.imageId(name, signal)) !== undefined,
    image: (space, at, spec) => dockerImage(space, docker, at, spec),
  };
}

/** The name says what is in it. A host that cannot be: a daemon that has lost the image would go and ask for it there. */
async function addBase(
  docker: DockerApi,
  store: DockerFacts["store"],
  environment: Environment,
  signal: AbortSignal,
): Promise<BaseFacts> {
  const { config, imageId, layers } = await baseImage(environment, (layer) => loadableBlob(layer, signal));
  const name = `melange2.invalid/base:${hexOf(imageId)}`;
  if ((await docker.imageId(name, signal)) === undefined) {
    await docker.load((sink) => writeArchive(sink, { config, layers, names: [name], signal }), signal);
  }
  const loaded = image(name, { resolveMode: "local", platform: environment.platform, name: "melange2 base" });
  const facts = { name, layers: layers.map(({ descriptor }) => descriptor.mediaType) };
  // Whenever it tidies, a daemon with the containerd image store loses all results that stand on an image's layers. A copy's stay.
  return store === "containerd" ? { ...facts, state: flattened(loaded), image: loaded } : { ...facts, state: loaded };
}

/** Every Docker daemon reads plain and gzip. */
async function loadableBlob(layer: Layer, signal: AbortSignal): Promise<Blob> {
  const gzip = layer.blob !== undefined && compressionOf(layer.blob.mediaType) === "gzip";
  const ready = await readyBlob(layer, gzip ? "gzip" : "none", signal);
  if (ready === undefined) throw new TypeError(`the plain tar of layer ${layer.diffId} takes no preparing`);
  return ready;
}

function dockerImage(space: BuildSpace, docker: DockerApi, at: BuildkitSnapshot, spec: ImageSpec): DebugImage {
  const { spoolDirectory: spool } = space;
  /** Makes an image of these names in the daemon. */
  async function make(names: readonly [string, ...string[]], signal: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    await exportImage(space, at, spec, { export: { type: "moby", attributes: { name: names.join(",") } }, signal });
  }

  async function open(signal: AbortSignal): Promise<LocalImage> {
    // By a name of its own, others who make the same image meanwhile neither lose it nor keep this one.
    const name = `melange2.invalid/export:${randomUUID()}`;
    try {
      await make([name], signal);
      return await spoolImage(spool, spec, docker.save(name, signal));
    } catch (error) {
      throw translated(error, "taking the image from the Docker daemon");
    } finally {
      // A daemon whose making fails late has given the name already.
      await docker.remove(name, new AbortController().signal).catch(() => {});
    }
  }

  /** The ID by which the daemon shows the image: its config's digest, in the containerd image store its manifest's. */
  async function deliver([first, ...rest]: readonly string[], signal: AbortSignal): Promise<Delivered> {
    if (first === undefined) throw new TypeError("an image for a Docker daemon has a name");
    await make([first, ...rest], signal);
    const imageId = await docker.imageId(first, signal);
    if (imageId === undefined) throw lostImage(first);
    return { imageId, bytes: 0 };
  }

  return {
    spec,
    async deliver(target, options) {
      const { signal } = options;
      throwIfAborted(signal);
      try {
        if (target.kind === "docker-daemon") {
          if (target.daemonId !== (await docker.facts(signal)).id) return undefined;
          return await deliver(target.names, signal);
        }
        if (target.kind !== "archive") return undefined;
        await using local = await open(signal);
        return await writeLocalArchive(local, target, spool, options);
      } catch (error) {
        throw signal.aborted ? interrupted() : translated(error, "exporting the image", "export");
      }
    },
    open: ({ signal }) => open(signal),
  };
}
