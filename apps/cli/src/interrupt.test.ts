import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";

/** A process that works on after its interrupt for as long as it is let. */
const script = `
const { interruptSignal } = await import(${JSON.stringify(join(import.meta.dirname, "interrupt.ts"))});
const { signal } = interruptSignal();
signal.addEventListener("abort", () => console.log("interrupted"));
console.log("ready");
setInterval(() => {}, 1000);
`;

/** A command that says more than a pipe holds, and ends when it is interrupted. */
const unread = `
const { interruptSignal } = await import(${JSON.stringify(join(import.meta.dirname, "interrupt.ts"))});
const interrupt = interruptSignal();
interrupt.signal.addEventListener("abort", () => {
  process.exitCode = interrupt.exitCode;
  interrupt.dispose();
});
process.stdout.write("x".repeat(4e6));
process.stderr.write("ready");
`;

it.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const)("a command that %s interrupts ends with %i, though nobody reads what it says", async (name, expected) => {
  const child = spawn(process.execPath, ["--conditions=melange2-source", "--input-type=module", "--eval", unread], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  await once(child.stderr, "data");
  child.kill(name);
  // Reading would let the process end by itself.
  const [code] = await once(child, "exit");
  expect(code).toBe(expected);
});

it("a signal that comes twice at once is one; a later one ends the process at once", async () => {
  const child = spawn(process.execPath, ["--conditions=melange2-source", "--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe("ready");
  const before = performance.now();
  child.kill("SIGINT");
  expect((await lines.next()).value).toBe("interrupted");
  const again = setInterval(() => child.kill("SIGINT"), 20);
  const [code, signal] = await once(child, "close");
  clearInterval(again);
  expect([code, signal]).toEqual([130, null]);
  expect(performance.now() - before).toBeGreaterThan(1000);
});
