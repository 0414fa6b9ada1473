import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { textOutput } from "./text-output.ts";

/** A pipe, and its end to write to as Node makes standard error of one: it takes only what fits. */
function pipe() {
  const folder = mkdtempSync(join(tmpdir(), "melange2-text-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  // Whoever opens both ends waits for nobody.
  const both = openSync(path, constants.O_RDWR);
  const reading = openSync(path, constants.O_RDONLY);
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  closeSync(both);
  return { reading, stream: Object.assign(new Socket({ fd, readable: false, writable: true }), { fd }) };
}

/** A program that reads the pipe; what it says. */
function reader(reading: number, program: string, ...args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: [reading, "pipe", "inherit"] });
  closeSync(reading);
  return text(child.stdout as Readable);
}

const lines = (count: number) => Array.from({ length: count }, (_, index) => `line ${index} ü\n`);

test("a reader gets everything in order, however much comes at once", async () => {
  const { reading, stream } = pipe();
  const said = reader(reading, "sha256sum");
  const output = textOutput(stream);
  const hash = createHash("sha256");
  for (const line of lines(2_000_000)) {
    hash.update(line);
    output.write(line);
  }
  output.end();
  stream.end("the end\n");
  expect((await said).split(" ")[0]).toBe(hash.update("the end\n").digest("hex"));
});

test("what nobody has read yet holds nobody up, and is not lost", async () => {
  const { reading, stream } = pipe();
  const output = textOutput(stream);
  const all = lines(100_000);
  for (const line of all) output.write(line);
  output.end();
  stream.end("the end\n");
  expect(await reader(reading, "cat")).toBe(`${all.join("")}the end\n`);
});

test("a reader that went away ends the output, and nothing else", async () => {
  const { reading, stream } = pipe();
  stream.on("error", () => {});
  const output = textOutput(stream);
  output.write("first\n");
  expect(await reader(reading, "head", "-n", "1")).toBe("first\n");
  for (const line of lines(1_000_000)) output.write(line);
  output.end();
  stream.destroy();
});

test("with more than may wait, and nobody reading, this process still gets its turns", async () => {
  const { stream } = pipe();
  const output = textOutput(stream);
  for (const line of lines(1_000_000)) output.write(line);
  await nextTurn();
  stream.destroy();
});
