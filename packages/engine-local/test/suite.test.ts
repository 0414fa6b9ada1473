import { join } from "node:path";
import { engineSuite } from "@melange2/testkit";
import { describe, test } from "vitest";
import { localEngine } from "../src/index.ts";
import { busyboxEnvironment } from "./busybox-environment.ts";
import { context, scratch, whyNot } from "./local-build.ts";

const missing = await whyNot();

describe("the suite for engines", () => {
  if (missing !== undefined) return void test("every test", ({ skip }) => skip(missing));
  const engine = localEngine(context(join(scratch(), "state")));
  const oneUser = process.getuid?.() !== 0 && process.env.MELANGE2_TEST_MAPPING !== "range";
  engineSuite({
    test: (title, body) => test(title, { timeout: 120_000 }, body),
    subject: async () => ({ engine, [Symbol.asyncDispose]: async () => {} }),
    base: busyboxEnvironment(),
    ...(oneUser ? { lacks: { users: "only one user is mapped" } } : {}),
  });
});
