// @ts-check
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { access, open, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";

/**
 * Puts debug images as archives into a folder, one for each failed build.
 *
 * @type {import("@melange2/core").Exporter}
 */
const exporter = {
  name: "shelf",
  contract: 1,
  summary: "An archive for each failed build, in one folder",

  // Flags, help, environment variables and refusals derive from this.
  options: {
    folder: { type: "string", required: true, description: "Where the archives go" },
    ref: { type: "string", default: "debug:{package}-{build}", description: "The image's name, NAME:TAG" },
  },

  // Before the first step: refuse here what can be refused. No network; a `probe` beside `export` is for that.
  async prepare(options, context) {
    const folder = resolve(context.cwd, String(options.folder));
    const ref = String(options.ref);
    context.imageName(ref);
    await access(folder, constants.W_OK).catch((cause) => {
      throw context.error("usage", `${folder} cannot be written to`, { hint: "Create the folder first.", cause });
    });

    return {
      destination: folder,

      // After the failure: all or nothing, also on an error and on Ctrl-C.
      async export(image, exporting) {
        const name = context.imageName(ref, exporting.failure);
        const path = join(folder, `${exporting.failure.build}.tar`);
        const temporary = join(folder, `.${randomUUID()}.part`);
        const file = await open(temporary, "wx", 0o600).catch((cause) => {
          throw context.error("export", `nothing can be written to ${folder}`, { hint: "Look at the folder.", cause });
        });
        try {
          const sink = { write: (/** @type {Uint8Array} */ chunk) => file.writeFile(chunk), close: async () => {} };
          const archive = /** @type {const} */ ({ format: "docker", compression: "gzip", names: [name], sink });
          const delivered = await context.deliverArchive(image, archive, exporting);
          await file.sync();
          await rename(temporary, path);
          return {
            ...delivered,
            location: path,
            open: [
              ["docker", "load", "-i", path],
              ["docker", "run", "-it", "--rm", name, "/bin/sh"],
            ],
          };
        } finally {
          await file.close();
          await rm(temporary, { force: true });
        }
      },
    };
  },
};

export default exporter;
