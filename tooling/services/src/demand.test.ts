import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { demandOf } from "./demand.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "melange2-demand-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test("a test file asks for what it names, itself or through what it imports", async () => {
  file(
    "daemons.ts",
    'export const variable = "MELANGE2_TEST_DOCKER" + "28_CONTAINERD", exact = "MELANGE2_TEST_DOCKER28";',
  );
  file("judges.ts", 'import { exact } from "./daemons.ts"; run("skopeo", "inspect");');
  const asking = file("a.test.ts", 'import "./judges.ts"; process.env.MELANGE2_TEST_BUSYBOX_TAR;');
  expect(await demandOf([asking])).toEqual({ provisions: ["docker28", "busybox"], programs: ["skopeo"] });
});

test("a test file that names nothing asks for nothing", async () => {
  expect(await demandOf([file("b.test.ts", 'import { test } from "vitest";')])).toEqual({
    provisions: [],
    programs: [],
  });
});
