import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { keepToBudget } from "./cache-budget.ts";

const day = 24 * 3600;

/** A folder of files of 100 bytes each, by the days for which nobody has used them. */
async function folderOf(unused: Readonly<Record<string, number>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "melange2-budget-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, days] of Object.entries(unused)) {
    await writeFile(join(folder, name), Buffer.alloc(100));
    const time = Date.now() / 1000 - days * day;
    await utimes(join(folder, name), time, time);
  }
  return folder;
}

test("the longest unused files go until the rest fits", async () => {
  const folder = await folderOf({ a: 5, b: 2, c: 9, d: 7, "e.part": 30 });
  await keepToBudget(folder, 250);
  expect(await readdir(folder)).toEqual(["a", "b"]);
});

test("what was used within a day stays, whatever the budget", async () => {
  const folder = await folderOf({ now: 0, today: 0.9, yesterday: 1.1 });
  await keepToBudget(folder, 0);
  expect(await readdir(folder)).toEqual(["now", "today"]);
});

test("a folder that is not there is no error", async () => {
  await expect(keepToBudget("/nonexistent/packages", 0)).resolves.toBeUndefined();
});
