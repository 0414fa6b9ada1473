import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "@melange2-tooling/machine";
import { afterEach, beforeEach, expect, test } from "vitest";

let project: string;
beforeEach(() => {
  // Below node_modules, where the outer run looks for no tests and the inner one finds vitest.
  mkdirSync(join(repositoryRoot, "node_modules/.tests"), { recursive: true });
  project = mkdtempSync(join(repositoryRoot, "node_modules/.tests/summary-"));
});
afterEach(() => rmSync(project, { recursive: true }));

function lastLines(
  files: Record<string, string>,
  env: Record<string, string> = {},
): { lines: string[]; status: number | null } {
  const reporter = JSON.stringify(join(import.meta.dirname, "vitest-summary.ts"));
  const config = `export default { test: { globals: true, include: ["*.test.js"], exclude: [], reporters: ["default", ${reporter}] } };`;
  for (const [name, text] of Object.entries({ ...files, "vitest.config.js": config }))
    writeFileSync(join(project, name), text);
  const { CI: _, MELANGE2_TEST_MISSING: __, ...inherited } = process.env;
  const { stdout, status } = spawnSync(join(repositoryRoot, "node_modules/.bin/vitest"), ["run", "--root", project], {
    encoding: "utf8",
    env: { ...inherited, ...env },
  });
  return { lines: stdout.trimEnd().split("\n"), status };
}

test("the last line counts, with the reasons of what was skipped above it", () => {
  const { lines, status } = lastLines({
    "a.test.js": `
      test("good", () => {});
      test("without", (context) => context.skip("no daemon"));
      test.skip("silent", () => {});`,
  });
  expect(lines.slice(-5)).toEqual([
    "skipped: no daemon",
    "  a.test.js > without",
    "skipped: no reason given",
    "  a.test.js > silent",
    "1 passed, 0 failed, 2 skipped",
  ]);
  expect(status).toBe(0);
});

test("a failing test, a failing hook and a file that cannot be loaded all count as failed", () => {
  const { lines, status } = lastLines({
    "a.test.js": `test("bad", () => { throw new Error("bad"); }); test("good", () => {});`,
    "b.test.js": `describe("suite", () => { beforeAll(() => { throw new Error("hook"); }); test("never", () => {}); });`,
    "c.test.js": `throw new Error("load");`,
  });
  expect(lines.at(-1)).toMatch(/^1 passed, 3 failed, 1 skipped$/);
  expect(status).toBe(1);
});

test("in continuous integration a missing service fails the run even when no test says so", () => {
  const env = { CI: "true", MELANGE2_TEST_MISSING: '{"MELANGE2_TEST_X":{"reason":"no luck","intended":false}}' };
  const { lines, status } = lastLines({ "a.test.js": 'test("good", () => {});' }, env);
  expect(lines).toContain("missing: MELANGE2_TEST_X: no luck");
  expect(lines.at(-1)).toBe("1 passed, 1 failed, 0 skipped");
  expect(status).toBe(1);
});
