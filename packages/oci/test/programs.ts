import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** Whether a judge is installed; tests that need one that is not skip by name. */
export function installed(program: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Runs a program; its output, or an error with what it said. */
export function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, {
    encoding: "latin1",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 64 << 20,
    env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
  });
}

/** A directory that goes when the test ends. */
export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), "melange2-oci-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
