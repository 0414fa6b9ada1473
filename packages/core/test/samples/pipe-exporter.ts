import type { Exporter } from "@melange2/core";

/** Writes the debug image to standard output: `melange2 build … | ssh host docker load`. */
const pipe: Exporter = {
  name: "pipe",
  contract: 1,
  summary: "The image as an archive on standard output",
  options: { ref: { type: "string", description: "The image's name, NAME:TAG", default: "debug:{package}-{build}" } },
  // Before the first step: whatever can be refused is refused here, without network.
  async prepare(options, context) {
    const ref = String(options.ref);
    context.imageName(ref);
    return {
      destination: "standard output",
      async export(image, exporting) {
        const name = context.imageName(ref, exporting.failure);
        const delivered = await context.deliverArchive(
          image,
          { format: "docker", compression: "none", names: [name], sink: context.stdout },
          exporting,
        );
        return { ...delivered, location: "standard output", open: [["docker", "run", "-it", "--rm", name, "/bin/sh"]] };
      },
    };
  },
};

export default pipe;
