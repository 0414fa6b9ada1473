import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { cached } from "./cache.ts";
import { locked } from "./lock.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "melange2-cache-"));
  vi.stubEnv("MELANGE2_TEST_CACHE", folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

test("an entry is made once, however many ask at once", async () => {
  let made = 0;
  const make = (unfinished: string): Promise<void> => writeFile(unfinished, `${++made}`);
  const entries = await Promise.all([cached("a/entry", make), cached("a/entry", make), cached("a/entry", make)]);
  expect(new Set(entries)).toEqual(new Set([join(folder, "a/entry")]));
  expect(await readFile(join(folder, "a/entry"), "utf8")).toBe("1");
});

test("an entry that could not be made is not there, and its rest does not disturb the next try", async () => {
  const failing = cached("entry", async (unfinished) => {
    await writeFile(unfinished, "half");
    throw new Error("out of luck");
  });
  await expect(failing).rejects.toThrow("out of luck");
  expect(existsSync(join(folder, "entry"))).toBe(false);
  await cached("entry", (unfinished) => writeFile(unfinished, "whole", { flag: "wx" }));
  expect(await readFile(join(folder, "entry"), "utf8")).toBe("whole");
});

test("a lock is free again when the process that held it is killed", async () => {
  const file = join(folder, "lock");
  const module = JSON.stringify(join(import.meta.dirname, "lock.ts"));
  const program = `import { locked } from ${module}; await locked(${JSON.stringify(file)}, () => { console.log("held"); return new Promise(() => setInterval(() => {}, 1e6)); });`;
  const holder = spawn(process.execPath, ["--input-type=module-typescript", "-e", program]);
  await new Promise((resolve) => holder.stdout.once("data", resolve));
  holder.kill("SIGKILL");
  expect(await locked(file, async () => "mine")).toBe("mine");
});
