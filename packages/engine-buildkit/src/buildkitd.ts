import type { Export } from "@melange2/buildkit-client";
import type { ByteSink, DebugImage, ImageSpec, Target } from "@melange2/core";
import { layoutBases } from "./base-layout.ts";
import type { BuildSpace } from "./build-space.ts";
import type { Daemon } from "./daemon.ts";
import { throwIfAborted, translated } from "./foreign-errors.ts";
import { deliveredOf, exportAttributes, type ImageExport } from "./image-export.ts";
import { exportImage } from "./image-job.ts";
import { pipeToBytes } from "./pipe-to-bytes.ts";
import { pushImage } from "./push-image.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";
import { spoolImage } from "./spool-image.ts";

/** A daemon of its own: it streams archives and pushes by itself. */
export function buildkitd(): Daemon {
  const bases = layoutBases();
  return {
    claims: ["archive", "registry"],
    takesApart: true,
    comparesTimes: true,
    stores: bases.stores,
    roomFor: () => true,
    addBase: bases.add,
    // Whether it has the layers shows when a graph is solved.
    hasBase: async () => true,
    image: (space, at, spec) => buildkitdImage(space, at, spec),
  };
}

function buildkitdImage(space: BuildSpace, at: BuildkitSnapshot, spec: ImageSpec): DebugImage {
  const { client, spoolDirectory: spool } = space;
  const image: ImageExport = {
    attributes: (compression) => exportAttributes(at.base, spec, compression),
    run: (options) => exportImage(space, at, spec, options),
  };
  const daemonIsHere = /^unix:|^tcp:\/\/(?:localhost|127\.|\[::1\])/.test(client.address);
  return {
    spec,
    async deliver(target, options) {
      const { signal, onProgress } = options;
      throwIfAborted(signal);
      if (target.kind === "registry") return pushImage(image, target, daemonIsHere, options);
      if (target.kind !== "archive") return undefined;
      const sink = countingSink(target.sink, (done) => onProgress?.(done, undefined));
      try {
        const { response } = await image.run({ export: archiveExport(image, target, sink), signal });
        return { ...deliveredOf(response), bytes: sink.written };
      } catch (error) {
        throw translated(error, "exporting the image");
      }
    },
    async open({ signal }) {
      throwIfAborted(signal);
      const archive = pipeToBytes((sink, ended) =>
        image.run({
          export: archiveExport(image, { compression: "gzip", names: [] }, sink),
          signal: AbortSignal.any([signal, ended]),
        }),
      );
      try {
        return await spoolImage(spool, spec, archive);
      } catch (error) {
        throw translated(error, "taking the image from the daemon");
      }
    },
  };
}

type Archive = Pick<Extract<Target, { kind: "archive" }>, "compression" | "names">;

/** An archive for docker and an OCI archive in one. */
function archiveExport(image: ImageExport, { compression, names }: Archive, sink: ByteSink): Export {
  const name = names.length === 0 ? {} : { name: names.join(",") };
  return { type: "docker", attributes: { ...image.attributes(compression), ...name }, sink };
}

function countingSink(sink: ByteSink, onBytes: (written: number) => void): ByteSink & { readonly written: number } {
  let written = 0;
  return {
    async write(chunk) {
      await sink.write(chunk);
      written += chunk.length;
      onBytes(written);
    },
    close: () => sink.close(),
    get written() {
      return written;
    },
  };
}
