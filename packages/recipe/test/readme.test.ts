import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

const sample = new URL("samples/steps.ts", import.meta.url);

test("the README shows the sample as it is, and it does what it says", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  expect(readme).toContain(`\`\`\`ts file=steps.ts\n${await readFile(sample, "utf8")}\`\`\``);
  const directory = await mkdtemp(join(tmpdir(), "melange2-readme-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const steps = async (recipe: string): Promise<string> => {
    const path = join(directory, "pkg.yaml");
    await writeFile(path, recipe);
    const words = ["--conditions=melange2-source", fileURLToPath(sample), path];
    return (await promisify(execFile)(process.execPath, words)).stdout;
  };
  const recipe = (runs: string) => `package: { name: p, version: "1", epoch: 0 }\npipeline:\n  - ${runs}\n`;
  expect(await steps(recipe("uses: strip"))).toMatch(/^3: \[p\] /);
  expect(await steps(recipe("run: typo"))).toMatch(/^3:5 .*run/);
});
