import { defineExporter, MelangeError } from "@melange2/core";

/** Writes the debug image to standard output: `melange2 build … | ssh host docker load`. */
export default defineExporter({
  name: "pipe",
  contract: 1,
  summary: "The image as an archive on standard output",
  options: { ref: { type: "string", description: "The image's name, NAME:TAG", default: "debug:{package}-{build}" } },
  // Before the first step: whatever can be refused is refused here, without network.
  async prepare({ ref }, context) {
    return {
      destination: "standard output",
      async export(image, { failure, signal, onProgress }) {
        const name = context.fill(ref, failure);
        const delivered = await image.deliver(
          { kind: "archive", format: "docker", compression: "none", names: [name], sink: context.stdout },
          { signal, onProgress },
        );
        if (!delivered)
          throw new MelangeError("engine", "the engine writes no archives", { hint: "Use another engine." });
        return { ...delivered, location: "standard output", open: [["docker", "run", "-it", "--rm", name, "/bin/sh"]] };
      },
    };
  },
});
