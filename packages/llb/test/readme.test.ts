import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const samples = new URL("samples/", import.meta.url);
const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const daemon = process.env.MELANGE2_TEST_BUILDKIT;
const busyboxRoot = process.env.MELANGE2_TEST_BUSYBOX_DIR;
const busybox = busyboxRoot === undefined ? "/usr/bin/busybox" : join(busyboxRoot, "bin/busybox");
/** Why nothing can be solved, if so. */
const missing =
  daemon === undefined
    ? "MELANGE2_TEST_BUILDKIT is not set"
    : existsSync(busybox)
      ? undefined
      : `${busybox} is missing`;

const sample = (name: string, args: readonly string[] = [], cwd?: string) =>
  execFileSync(process.execPath, ["--conditions=melange2-source", new URL(name, samples).pathname, ...args], { cwd });

describe("README", () => {
  it.each(readdirSync(samples))("shows %s as it is type-checked", (name) => {
    const text = readFileSync(new URL(name, samples), "utf8");
    expect(readme).toContain(`\`\`\`ts file=${name}\n${text}\`\`\``);
  });

  it.each(["graph.ts", "layers.ts"])("shows %s as it is run", (name) => {
    expect(sample(name).length).toBeGreaterThan(200);
  });

  it.skipIf(missing !== undefined)(`shows solve.ts as a daemon runs it (${missing ?? "it is there"})`, () => {
    const directory = mkdtempSync(join(tmpdir(), "melange2-llb-readme-"));
    try {
      mkdirSync(join(directory, "rootfs/bin"), { recursive: true });
      copyFileSync(busybox, join(directory, "rootfs/bin/busybox"));
      for (const applet of ["ls", "sh", "tee"]) symlinkSync("busybox", join(directory, "rootfs/bin", applet));
      sample("solve.ts", [daemon as string], directory);
      expect(readFileSync(join(directory, "out/programs"), "utf8")).toContain("tee -> busybox\n");
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
