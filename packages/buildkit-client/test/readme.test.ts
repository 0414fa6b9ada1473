import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildkitd, createRoot } from "./daemons.ts";
import { define, run } from "./graph.ts";

const samples = new URL("samples/", import.meta.url);
const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

describe("README", () => {
  it.each(readdirSync(samples))("shows %s as it is type-checked", (name) => {
    const text = readFileSync(new URL(name, samples), "utf8");
    expect(readme).toContain(`\`\`\`ts file=${name}\n${text}\`\`\``);
  });

  it.skipIf(buildkitd.address === undefined)(`shows samples that run ${buildkitd.skip}`, () => {
    const root = createRoot();
    const directory = mkdtempSync(join(tmpdir(), "melange2-buildkit-readme-"));
    writeFileSync(join(directory, "graph.pb"), define(run(root.node, "echo built; echo made > /made")));
    const command = (name: string) => [
      "--conditions=melange2-source",
      new URL(name, samples).pathname,
      buildkitd.address as string,
      "graph.pb",
      root.directory,
    ];
    const options = { cwd: directory, encoding: "utf8", timeout: 60_000 } as const;
    const sample = (name: string) => execFileSync(process.execPath, command(name), options);
    try {
      sample("build.ts");
      expect(readFileSync(join(directory, "out/made"), "utf8")).toBe("made\n");
      expect(sample("steps.ts")).toMatch(/made\n[\s\S]*sha256:[0-9a-f]{64}\n$/);
      expect(execFileSync("tar", ["-tf", "image.tar"], { cwd: directory, encoding: "utf8" })).toContain("index.json");
      expect(spawnSync(process.execPath, command("shell.ts"), { ...options, input: "you\n" })).toMatchObject({
        status: 3,
        stderr: expect.stringContaining("hello you\n"),
      });
      writeFileSync(join(root.directory, ".dockerignore"), "left-out\n");
      for (const name of ["left-out", "taken"]) writeFileSync(join(root.directory, name), name);
      writeFileSync(join(root.directory, "Dockerfile"), "FROM scratch\nARG NAME\nCOPY . /of-$NAME\n");
      sample("dockerfile.ts");
      expect(readdirSync(join(directory, "built/of-you")).sort()).toEqual([
        ".dockerignore",
        "Dockerfile",
        "bin",
        "taken",
      ]);
      expect(sample("prune.ts")).toMatch(/\d+ bytes gone\n$/);
    } finally {
      rmSync(directory, { recursive: true, force: true });
      root.remove();
    }
  });
});
