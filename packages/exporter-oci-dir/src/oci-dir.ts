import { type Compression, defineExporter, MelangeError } from "@melange2/core";
import { layoutFolder } from "./layout-folder.ts";
import { layoutPath } from "./layout-path.ts";
import { unpackLayout } from "./unpack-layout.ts";

/**
 * A folder that skopeo, umoci, podman and buildah read as it is. It appears under its name complete or not at all, and the name always
 * means the newest failure: a layout that has it already is moved to `NAME.1`, `NAME.2`…, and the receipt's note says so.
 */
export const ociDir = defineExporter({
  name: "oci-dir",
  contract: 1,
  summary: "A folder with the image as an OCI image layout",
  options: {
    path: {
      type: "string",
      description: "Folder to write; its parent must be there. An older layout of that name is kept as NAME.1.",
      default: "melange2-debug-{package}-{version}-{arch}",
    },
    ref: {
      type: "string",
      description: "The image's name, NAME:TAG; layouts know it by its tag",
      default: "melange2-debug:{package}-{build}",
    },
    compression: {
      type: "enum",
      values: ["none", "gzip", "zstd"],
      description: "Compression of the layers",
      default: "gzip",
    },
  },
  async prepare({ path: named, ref, compression }, context) {
    const archive = { format: "oci", compression: compressionOf(compression) } as const;
    context.imageName(ref);
    const planned = await layoutPath(context.cwd, context.fill(named), "usage");
    return {
      destination: planned,
      async export(image, exporting) {
        const name = context.imageName(ref, exporting.failure);
        const path = await layoutPath(context.cwd, context.fill(named, exporting.failure), "export");
        await using folder = await layoutFolder(path);
        const layout = unpackLayout(folder.path, path);
        try {
          const request = { ...archive, names: [name], sink: layout.sink };
          const delivered = await context.deliverArchive(image, request, exporting);
          await layout.finish();
          const older = await folder.publish();
          return {
            ...delivered,
            location: path,
            open: commands(path, name, context.runtimes[0]),
            ...(older === undefined ? {} : { note: `The layout that was ${path} before is now ${older}.` }),
          };
        } finally {
          await layout.abandon();
        }
      },
    };
  },
});

/** podman runs a layout as it is; docker has to get it by skopeo. */
function commands(path: string, name: string, runtime: string | undefined): readonly (readonly string[])[] {
  const image = `oci:${path}:${name.slice(name.lastIndexOf(":") + 1)}`;
  if (runtime === "podman") return [["podman", "run", "-it", "--rm", image, "/bin/sh"]];
  return [
    ["skopeo", "copy", image, `docker-daemon:${name}`],
    ["docker", "run", "-it", "--rm", name, "/bin/sh"],
  ];
}

function compressionOf(value: string): Compression {
  if (value === "none" || value === "gzip" || value === "zstd") return value;
  throw new MelangeError("usage", `"${value}" is not a compression`, { hint: "Use none, gzip or zstd." });
}
