import type { BuildkitClient, Export, SolveResult } from "@melange2/buildkit-client";
import type {
  ByteSink,
  Compression,
  DebugImage,
  Delivered,
  Descriptor,
  Digest,
  ImageSpec,
  Target,
} from "@melange2/core";
import { compressionOf } from "@melange2/oci";
import { layoutBases } from "./base-layout.ts";
import type { Daemon } from "./daemon.ts";
import { throwIfAborted, translated } from "./foreign-errors.ts";
import { exportImage, type ImageJobOptions } from "./image-job.ts";
import type { BaseFacts, BuildkitSnapshot } from "./snapshot.ts";
import { spoolImage } from "./spool-image.ts";

/** A daemon of its own: it streams archives and pushes by itself. */
export function buildkitd(client: BuildkitClient): Daemon {
  const bases = layoutBases();
  return {
    claims: ["archive", "registry"],
    takesApart: true,
    stores: bases.stores,
    addBase: bases.add,
    // Whether it has the layers shows when a graph is solved.
    hasBase: async () => true,
    image: (space, at, spec) => buildkitdImage(client, at, spec, space.spoolDirectory),
  };
}

function buildkitdImage(client: BuildkitClient, at: BuildkitSnapshot, spec: ImageSpec, spool: string): DebugImage {
  const run = async (options: Omit<ImageJobOptions, "takesApart">): Promise<SolveResult> => {
    throwIfAborted(options.signal);
    try {
      return await exportImage(client, at, spec, { ...options, takesApart: true });
    } catch (error) {
      throw translated(error, "exporting the image");
    }
  };
  return {
    spec,
    async deliver(target, { signal, onProgress }) {
      switch (target.kind) {
        case "archive": {
          const sink = countingSink(target.sink, (done) => onProgress?.(done, undefined));
          const { response } = await run({ export: archiveExport(at.base, spec, target, sink), signal });
          return { ...deliveredOf(response), bytes: sink.written };
        }
        default:
          return undefined;
      }
    },
    open: ({ signal }) =>
      spoolImage(spool, spec, (sink) =>
        run({ export: archiveExport(at.base, spec, { compression: "gzip", names: [] }, sink), signal }),
      ),
  };
}

type Archive = Pick<Extract<Target, { kind: "archive" }>, "compression" | "names">;

function archiveExport(base: BaseFacts, spec: ImageSpec, { compression, names }: Archive, sink: ByteSink): Export {
  return {
    type: "docker",
    attributes: {
      ...imageAttributes(base, spec, compression),
      ...(names.length === 0 ? {} : { name: names.join(",") }),
    },
    sink,
  };
}

/** What goes for every exporter of images. */
function imageAttributes(base: BaseFacts, spec: ImageSpec, compression: Compression): Readonly<Record<string, string>> {
  const kind = compression === "none" ? "uncompressed" : compression;
  // Gzip is read by every loader, so what came as gzip goes as gzip, whatever was asked for.
  const fits = (mediaType: string) => ["gzip", compression].includes(compressionOf(mediaType) ?? "");
  return {
    compression: kind,
    ...(base.layers.every(fits) ? {} : { "force-compression": "true" }),
    "oci-mediatypes": "true",
    ...Object.fromEntries(Object.entries(spec.annotations).map(([key, value]) => [`annotation.${key}`, value])),
  };
}

function deliveredOf(response: SolveResult["response"]): Pick<Delivered, "imageId" | "manifest"> {
  const manifest = response["containerimage.descriptor"];
  return {
    imageId: response["containerimage.config.digest"] as Digest,
    ...(manifest === undefined ? {} : { manifest: descriptorOf(manifest) }),
  };
}

function descriptorOf(base64: string): Descriptor {
  const { mediaType, digest, size } = JSON.parse(Buffer.from(base64, "base64").toString()) as Descriptor;
  return { mediaType, digest, size };
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
