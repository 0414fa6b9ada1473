import { createReadStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { exporterSuite, readImageArchive } from "@melange2/testkit";
import exporter from "../src/index.js";

exporterSuite({
  test: (name, body) => test(name, body),
  exporter,

  // A destination of its own for each test.
  async subject() {
    const folder = await mkdtemp(join(tmpdir(), "shelf-"));
    const path = join(folder, "b-1.tar"); // The suite's failed build is called b-1.
    return {
      options: { folder, ref: "debug:{build}" },
      async arrived() {
        const there = await stat(path).catch(() => undefined);
        return there && readImageArchive(createReadStream(path));
      },
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
    };
  },

  // What must be refused before the first step.
  refused: {
    "a folder that does not exist": (options) => ({ ...options, folder: `${options.folder}/gone` }),
    "a name that no image can have": (options) => ({ ...options, ref: "Debug:x" }),
  },
});
