import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";

/** A directory that goes when the test ends. */
export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), "melange2-environment-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Writes files, with their directories; names that end in a slash are directories. */
export function plant(root: string, files: Readonly<Record<string, string | Uint8Array>>): string {
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name);
    mkdirSync(name.endsWith("/") ? path : dirname(path), { recursive: true });
    if (!name.endsWith("/")) writeFileSync(path, content);
  }
  return root;
}

/** The head of a program for a machine, as the ELF header tells it. */
export function program(machine: number): Uint8Array {
  const bytes = Buffer.alloc(100);
  bytes.write("\x7fELF\x02\x01\x01", 0, "latin1");
  bytes.writeUInt16LE(machine, 18);
  return bytes;
}

export const amd64 = { os: "linux", architecture: "amd64" } as const;

/** A root filesystem that is small, and yet one. */
export function smallRoot(root: string, more: Readonly<Record<string, string | Uint8Array>> = {}): string {
  return plant(root, {
    "bin/sh": program(62),
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nold:x:99:99::/old:/bin/false\n",
    "etc/group": "root:x:0:\nold:x:99:\n",
    "etc/shadow": "root:*:::::::\n",
    ...more,
  });
}

export function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}
