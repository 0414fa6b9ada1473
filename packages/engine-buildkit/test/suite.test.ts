import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { engineSuite } from "@melange2/testkit";
import { describe, test } from "vitest";
import buildkitEngine from "../src/index.ts";
import { busyboxEnvironment, context, daemons } from "./daemons.ts";

const tar = process.env.MELANGE2_TEST_BUSYBOX_TAR;

describe.each(daemons)("the suite for engines, on $name", ({ address, lacks }) => {
  describe.skipIf(address === undefined || tar === undefined)("", () => {
    if (address === undefined || tar === undefined) return;
    const engine = buildkitEngine(context(address, mkdtempSync(join(tmpdir(), "engine-buildkit-"))));
    engineSuite({
      test: (name, body) => test(name, { timeout: 120_000 }, body),
      subject: async () => ({ engine, [Symbol.asyncDispose]: async () => {} }),
      lacks,
      base: busyboxEnvironment(tar),
    });
  });
});
