import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { cacheFolder } from "@melange2-tooling/machine";
import { expect, test } from "vitest";
import { provided } from "../src/provided.ts";
import { start } from "../src/start.ts";

// A registry of this test's own beside the shared one, which stands for everything that is not to be stopped.
const variable = "MELANGE2_TEST_REGISTRY";

function answers(address: string): Promise<boolean> {
  const [host = "", port] = address.split(":");
  const socket = connect({ host, port: Number(port) });
  return new Promise((resolve) => {
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
  }).finally(() => socket.destroy()) as Promise<boolean>;
}

async function startInProcess(): Promise<{ owner: ChildProcessByStdio<null, Readable, null>; address: string }> {
  const { [variable]: _, ...env } = process.env;
  const main = join(import.meta.dirname, "../src/main.ts");
  const owner = spawn(process.execPath, [main, "registry"], { stdio: ["ignore", "pipe", "inherit"], env });
  const [line] = await once(createInterface(owner.stdout), "line");
  const address = /='(.*)'/.exec(line)?.[1] ?? "";
  expect(await answers(address)).toBe(true);
  return { owner, address };
}

const runFolders = (owner: number | undefined): string[] =>
  readdirSync(join(cacheFolder(), "run")).filter((name) => name.startsWith(`${owner}-`));

test("stopping ends what was started and nothing else, and leaves no data", async (context) => {
  const other = provided(context, variable);
  const { owner, address } = await startInProcess();
  expect(runFolders(owner.pid)).toHaveLength(1);
  owner.kill("SIGTERM");
  await once(owner, "exit");
  expect(await answers(address)).toBe(false);
  expect(runFolders(owner.pid)).toEqual([]);
  expect(await answers(other)).toBe(true);
});

test("a killed owner takes its services along, and the next start removes its data", async (context) => {
  provided(context, variable);
  const { owner, address } = await startInProcess();
  owner.kill("SIGKILL");
  await once(owner, "exit");
  while (await answers(address)) await pause(10);
  expect(runFolders(owner.pid)).toHaveLength(1);
  const { owner: next } = await startInProcess();
  expect(runFolders(owner.pid)).toEqual([]);
  next.kill("SIGTERM");
  await once(next, "exit");
});

test("what the environment names already is not started", async (context) => {
  provided(context, variable);
  const services = await start(["registry"]);
  await services.stop();
  expect(services.env).toEqual({});
});
