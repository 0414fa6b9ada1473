import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownedName } from "@melange2/oci";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { onceAmongProcesses } from "./claim.ts";

const { signal } = new AbortController();
let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "melange2-claim-"));
  path = join(folder, "result");
  onTestFinished(() => rm(folder, { recursive: true }));
});

/** The number of an ended process. */
async function endedProcess(): Promise<number | undefined> {
  const child = spawn(process.execPath, ["-e", ""]);
  await once(child, "exit");
  return child.pid;
}

/** How often twenty at once do the work. */
async function timesDone(): Promise<number> {
  let times = 0;
  const work = async () => {
    times += 1;
    await writeFile(path, "done");
  };
  await Promise.all(Array.from({ length: 20 }, () => onceAmongProcesses(path, work, signal)));
  return times;
}

test("of twenty, one does the work, and nothing else is left", async () => {
  expect(await timesDone()).toBe(1);
  expect(await readdir(folder)).toEqual(["result"]);
});

test("of twenty that find the claim of a killed process, one does the work", async () => {
  const owner = ownedName("claim").replace(`-${process.pid}-`, `-${await endedProcess()}-`);
  await writeFile(`${path}.claim`, owner);
  expect(await timesDone()).toBe(1);
  expect(await readdir(folder)).toEqual(["result"]);
});

test("a claim of another machine that has not shown itself for a minute keeps nobody waiting", async () => {
  await writeFile(`${path}.claim`, "claim-00000000-1-0123456789abcdef");
  const old = Date.now() / 1000 - 61;
  await utimes(`${path}.claim`, old, old);
  expect(await timesDone()).toBe(1);
});

test("a claim of another machine that has shown itself is waited for, until its owner is done or the signal ends it", async () => {
  await writeFile(`${path}.claim`, "claim-00000000-1-0123456789abcdef");
  const abort = new AbortController();
  const waiting = onceAmongProcesses(path, () => Promise.reject(new Error("not my work")), abort.signal);
  const other = onceAmongProcesses(path, () => Promise.reject(new Error("not my work")), signal);
  abort.abort(new Error("stopped"));
  await expect(waiting).rejects.toThrow("stopped");
  await writeFile(path, "done");
  await expect(other).resolves.toBeUndefined();
});

test("where the work fails, the next one does it", async () => {
  await expect(onceAmongProcesses(path, () => Promise.reject(new Error("failed")), signal)).rejects.toThrow("failed");
  expect(await readdir(folder)).toEqual([]);
  expect(await timesDone()).toBe(1);
});
