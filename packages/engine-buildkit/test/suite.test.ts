import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { engineSuite } from "@melange2/testkit";
import { describe, test } from "vitest";
import { buildkitEngine } from "../src/index.ts";
import { busyboxEnvironment, context, daemons } from "./daemons.ts";

const tar = process.env.MELANGE2_TEST_BUSYBOX_TAR;

describe.each(daemons)("the suite for engines, on $name", ({ name, address, lacks }) => {
  const everyRun = name === "buildkitd";
  const missing = [
    ...(address === undefined || tar === undefined ? ["the daemon or busybox is not there"] : []),
    ...(everyRun || process.env.MELANGE2_TEST_FULL === "1" ? [] : ["only in full runs: npm run test:full"]),
  ][0];
  if (address === undefined || tar === undefined || missing !== undefined)
    return void test("every test", ({ skip }) => skip(missing));
  const engine = buildkitEngine(context(address, mkdtempSync(join(tmpdir(), "engine-buildkit-"))));
  engineSuite({
    test: (title, body) => test(title, { timeout: 120_000 }, body),
    subject: async () => ({ engine, [Symbol.asyncDispose]: async () => {} }),
    lacks,
    base: busyboxEnvironment(tar),
  });
});
