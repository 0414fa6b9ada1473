import { type ByteSink, type Compression, defineExporter, type ExportContext, MelangeError } from "@melange2/core";
import { archiveFile } from "./archive-file.ts";
import { archivePath } from "./archive-path.ts";
import { asExportError } from "./export-error.ts";

/**
 * One file that docker, podman and skopeo load. It appears under its name complete or not at all, and the name always means the
 * newest failure: a file that has it already is moved to `NAME.1.tar`, `NAME.2.tar`…, and the receipt's note says so.
 */
export const tarball = defineExporter({
  name: "tarball",
  contract: 1,
  summary: "A tar archive of the image, for docker load",
  options: {
    path: {
      type: "string",
      description: "File to write, or - for standard output. An older file of that name is kept as NAME.1.tar.",
      default: "melange2-debug-{package}-{version}-{arch}.tar",
    },
    ref: {
      type: "string",
      description: "The image's name in the archive, NAME:TAG",
      default: "melange2-debug:{package}-{build}",
    },
    compression: {
      type: "enum",
      values: ["none", "gzip", "zstd"],
      description: "Compression of the layers; none loads fastest, and Docker 20.10 does not take zstd.",
      default: "gzip",
    },
  },
  async prepare(options, context) {
    const archive = { format: "docker", compression: compressionOf(options.compression) } as const;
    context.imageName(options.ref);
    const runtime = context.runtimes[0] ?? "docker";
    const run = (name: string) => [runtime, "run", "-it", "--rm", name, "/bin/sh"];

    if (options.path === "-") {
      return {
        destination: "standard output",
        async export(image, exporting) {
          const name = context.imageName(options.ref, exporting.failure);
          const delivered = await context.deliverArchive(
            image,
            { ...archive, names: [name], sink: toStdout(context) },
            exporting,
          );
          return { ...delivered, location: "standard output", open: [[runtime, "load"], run(name)] };
        },
      };
    }

    const planned = await archivePath(context.cwd, context.fill(options.path), "usage");
    return {
      destination: planned,
      async export(image, exporting) {
        const name = context.imageName(options.ref, exporting.failure);
        const path = await archivePath(context.cwd, context.fill(options.path, exporting.failure), "export");
        await using file = await archiveFile(path);
        const delivered = await context.deliverArchive(
          image,
          { ...archive, names: [name], sink: file.sink },
          exporting,
        );
        const older = await file.publish();
        return {
          ...delivered,
          location: path,
          open: [[runtime, "load", "-i", path], run(name)],
          ...(older === undefined ? {} : { note: `The file that was ${path} before is now ${older}.` }),
        };
      },
    };
  },
});

/** Standard output, whose errors say so. */
function toStdout({ stdout }: Pick<ExportContext, "stdout">): ByteSink {
  return {
    write: (chunk) =>
      stdout.write(chunk).catch((error) => {
        throw asExportError(error, "standard output");
      }),
    close: () => stdout.close(),
  };
}

function compressionOf(value: string): Compression {
  if (value === "none" || value === "gzip" || value === "zstd") return value;
  throw new MelangeError("usage", `"${value}" is not a compression`, { hint: "Use none, gzip or zstd." });
}
