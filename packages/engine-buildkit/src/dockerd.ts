import { randomUUID } from "node:crypto";
import type { DebugImage, Environment, ImageSpec, Layer, LocalImage } from "@melange2/core";
import { image } from "@melange2/llb";
import { type Blob, compressionOf, hexOf, readyBlob, writeArchive } from "@melange2/oci";
import { baseImage } from "./base-image.ts";
import type { BuildSpace } from "./build-space.ts";
import type { Daemon } from "./daemon.ts";
import { type DockerApi, dockerApi } from "./docker-api.ts";
import { interrupted, throwIfAborted, translated } from "./foreign-errors.ts";
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
export function dockerd(socketPath: string): Daemon {
  const docker = dockerApi(socketPath);
  return {
    claims: ["archive", "docker-daemon"],
    takesApart: false,
    stores: {},
    roomFor: ({ base, units }) => base.layers.length + units < layerLimit,
    addBase: (environment, signal) => addBase(docker, environment, signal),
    hasBase: ({ name }, signal) => docker.has(name, signal),
    image: (space, at, spec) => dockerImage(space, docker, at, spec),
  };
}

/** The name says what is in it. A host that cannot be: a daemon that has lost the image would go and ask for it there. */
async function addBase(docker: DockerApi, environment: Environment, signal: AbortSignal): Promise<BaseFacts> {
  const { config, imageId, layers } = await baseImage(environment, (layer) => loadableBlob(layer, signal));
  const name = `melange2.invalid/base:${hexOf(imageId)}`;
  if (!(await docker.has(name, signal))) {
    await docker.load((sink) => writeArchive(sink, { config, layers, names: [name], signal }), signal);
  }
  return {
    name,
    state: image(name, { resolveMode: "local", platform: environment.platform, name: "melange2 base" }),
    layers: layers.map(({ descriptor }) => descriptor.mediaType),
  };
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
  /** Makes an image in the daemon and tells its id there. */
  async function make(names: readonly string[], signal: AbortSignal): Promise<string> {
    throwIfAborted(signal);
    const attributes = names.length === 0 ? {} : { name: names.join(",") };
    const { response } = await exportImage(space, at, spec, {
      export: { type: "moby", attributes },
      signal,
    });
    const digest = response["containerimage.config.digest"] ?? response["containerimage.digest"];
    if (digest === undefined) throw new TypeError("the Docker daemon did not tell the id of the image that it made");
    return digest;
  }

  async function open(signal: AbortSignal): Promise<LocalImage> {
    try {
      // By a name of its own, others who make the same image meanwhile neither lose it nor keep this one.
      const name = `melange2.invalid/export:${randomUUID()}`;
      const id = await make([name], signal);
      try {
        return await spoolImage(spool, spec, docker.save(id, signal));
      } finally {
        await docker.remove(name, new AbortController().signal).catch(() => {});
      }
    } catch (error) {
      throw translated(error, "taking the image from the Docker daemon");
    }
  }

  return {
    spec,
    async deliver(target, options) {
      const { signal } = options;
      throwIfAborted(signal);
      try {
        if (target.kind === "docker-daemon") {
          if (target.daemonId !== (await docker.id(signal))) return undefined;
          return { imageId: (await make(target.names, signal)) as `sha256:${string}`, bytes: 0 };
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
