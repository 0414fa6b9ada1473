import { defineExporter, MelangeError } from "@melange2/core";
import { startCommand } from "./running-command.ts";

/**
 * Any command that reads an archive as docker load does: `ssh host docker load`, `aws s3 cp - s3://…`, `ctr images import -`. It runs by
 * `sh -c`; nothing is filled into its text, which a shell parses: what is known of the image is in its environment. It sees the end of its
 * input only when the archive is complete; on an error or an interrupt it is ended before.
 */
export const command = defineExporter({
  name: "command",
  contract: 1,
  summary: "The image as an archive on the standard input of a command",
  options: {
    command: {
      type: "string",
      required: true,
      sensitive: true,
      description: "Run by sh -c, with $MELANGE2_IMAGE, _PACKAGE, _VERSION, _ARCH, _BUILD and _STEP in its environment",
    },
    ref: {
      type: "string",
      description: "The image's name in the archive, NAME:TAG",
      default: "melange2-debug:{package}-{build}",
    },
    compression: {
      type: "enum",
      values: ["none", "gzip", "zstd"],
      description: "Compression of the layers; Docker 20.10 does not take zstd.",
      default: "gzip",
    },
  },
  async prepare(options, context) {
    const text = commandText(options.command);
    const compression = compressionOf(options.compression);
    context.imageName(options.ref);
    const location = `the command ${summaryOf(text)}`;
    return {
      destination: location,
      async export(image, exporting) {
        const { failure, signal } = exporting;
        const name = context.imageName(options.ref, failure);
        await using running = startCommand(text, {
          cwd: context.cwd,
          env: {
            ...context.env,
            MELANGE2_IMAGE: name,
            MELANGE2_PACKAGE: context.package,
            MELANGE2_VERSION: context.version,
            MELANGE2_ARCH: context.arch,
            MELANGE2_BUILD: failure.build,
            MELANGE2_STEP: failure.step,
          },
          signal,
        });
        const request = { format: "docker", compression, names: [name], sink: running.sink } as const;
        const delivered = await context.deliverArchive(image, request, exporting);
        const said = await running.finish();
        return {
          ...delivered,
          location,
          open: [[context.runtimes[0] ?? "docker", "run", "-it", "--rm", name, "/bin/sh"]],
          ...(said === undefined ? {} : { note: `The command said: ${said}` }),
        };
      },
    };
  },
});

function commandText(given: string): string {
  if (given.trim() !== "" && !given.includes("\0")) return given;
  throw new MelangeError("usage", "there is no command to pipe the image into", {
    hint: "Give one that reads an archive: --export-opt command='ssh HOST docker load'.",
  });
}

/** The program's name only: what follows, and what is set before, may hold credentials. */
function summaryOf(text: string): string {
  const words = text.trim().split(/\s+/);
  const program = words.find((word) => /^[A-Za-z0-9_./+-]+$/.test(word));
  return program === undefined ? "given" : words.length === 1 ? program : `${program} …`;
}

function compressionOf(value: string) {
  if (value === "none" || value === "gzip" || value === "zstd") return value;
  throw new MelangeError("usage", `"${value}" is not a compression`, { hint: "Use none, gzip or zstd." });
}
