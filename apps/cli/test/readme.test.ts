import { execFile } from "node:child_process";
import { chmod, cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { provided, root } from "@melange2-tooling/services";
import { expect, it } from "vitest";
import { type Place, place, program } from "./melange2.ts";

// The README's samples are run, one after another in one folder, and print what the README says they print.

const repository = join(import.meta.dirname, "..", "..", "..");

interface Sample {
  readonly command: string;
  readonly prints: readonly string[];
}

/** The lines indented as code that begin with `$ melange2`, each with the lines that it prints. */
function samplesOf(markdown: string): Sample[] {
  const samples: { command: string; prints: string[] }[] = [];
  let open: { command: string; prints: string[] } | undefined;
  for (const line of markdown.split("\n")) {
    const code = /^ {4}(.*)$/.exec(line)?.[1];
    if (code?.startsWith("$ ")) {
      open = { command: code.slice(2), prints: [] };
      samples.push(open);
    } else if (code !== undefined) open?.prints.push(code);
    else if (line !== "") open = undefined;
  }
  return samples.filter(({ command }) => command.startsWith("melange2 "));
}

/** What differs from run to run is made the same. */
const settled = (text: string): string =>
  text
    .replace(/\d{8}-\d{6}-[0-9a-f]{6}/g, "BUILD")
    .replace(/sha256:[0-9a-f]{64}/g, "sha256:DIGEST")
    .replace(/\d+\.\d s\b/g, "N s")
    // A registry that several runs share has the base already.
    .replace(/\d+(\.\d)? [kMG]?B\b/g, "N bytes")
    .replace(/[^\S\n]+$/gm, "")
    // Shown only where a machine takes its time.
    .replace(/^=> (?!step ).*\n/gm, "");

/** A line `…` stands for any number of lines. */
function expectPrinted(output: string, lines: readonly string[]): void {
  const escaped = (line: string) => line.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const wanted = lines.map((line) => (line === "…" ? "(?:.*\n)*?" : `${escaped(settled(line))}\n`));
  const found = settled(output).replace(/^\n/gm, "");
  const pattern = new RegExp(`^${wanted.filter((line) => line !== "\n").join("")}$`);
  if (!pattern.test(found)) expect(found).toBe(lines.map(settled).join("\n"));
}

/** What a shell command prints on both streams; its exit code is the sample's own affair. */
const printed = (here: Place, command: string, env: NodeJS.ProcessEnv): Promise<string> =>
  new Promise((resolve) => {
    const options = { cwd: here.directory, env: { ...here.env, ...env } };
    execFile("/bin/sh", ["-c", `{ ${command}; } 2>&1`], options, (_, stdout) => resolve(stdout));
  });

it("the README's samples print what it says", { timeout: 120_000 }, async (test) => {
  root(test);
  const socket = provided(test, "MELANGE2_TEST_DOCKER28");
  const registry = provided(test, "MELANGE2_TEST_REGISTRY");
  await using here = await place();
  const archive = join(here.directory, "debug.tar");
  const bin = join(here.directory, "bin");
  await mkdir(bin);
  await writeFile(join(bin, "melange2"), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
  await chmod(join(bin, "melange2"), 0o755);
  await cp(join(repository, "examples", "quickstart"), here.directory, { recursive: true });
  await cp((await busyboxRoot()).tar, join(here.directory, "rootfs.tar"));

  const samples = samplesOf(await readFile(join(repository, "README.md"), "utf8"));
  expect(samples.length).toBeGreaterThanOrEqual(5);
  for (const { command, prints } of samples) {
    const inTest = command.replaceAll("/tmp/debug.tar", archive).replaceAll("registry.example.com", registry);
    const output = await printed(here, inTest, {
      PATH: `${bin}:${process.env.PATH}`,
      DOCKER_HOST: `unix://${socket}`,
    });
    const told = output
      .replaceAll(archive, "/tmp/debug.tar")
      .replaceAll(registry, "registry.example.com")
      .replaceAll(` -H unix://${socket}`, "")
      .replaceAll(socket, "/var/run/docker.sock");
    expectPrinted(told, prints);
  }
});
