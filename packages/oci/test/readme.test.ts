import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

const samples = new URL("samples/", import.meta.url);

test("the README shows samples as they are, and they do what they say", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const directory = await mkdtemp(join(tmpdir(), "melange2-readme-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const printed: string[] = [];
  for (const name of ["write.ts", "check.ts"]) {
    const sample = fileURLToPath(new URL(name, samples));
    expect(readme).toContain(`\`\`\`ts file=${name}\n${await readFile(sample, "utf8")}\`\`\``);
    const words = ["--conditions=melange2-source", sample, join(directory, "image.tar")];
    printed.push((await promisify(execFile)(process.execPath, words)).stdout);
  }
  const [imageId] = printed[0]?.split(",") ?? [];
  expect(printed[1]).toBe(`oci-archive ${imageId}: 1 layers, amd64\n`);
});
