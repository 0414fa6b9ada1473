import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { serveRepository } from "./served.ts";

const sample = new URL("samples/fetch-environment.ts", import.meta.url);

test("the README shows the sample as it is, and it does what it says", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  expect(readme).toContain(`\`\`\`ts file=fetch-environment.ts\n${await readFile(sample, "utf8")}\`\`\``);

  const directory = await mkdtemp(join(tmpdir(), "melange2-readme-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  await using served = await serveRepository();
  await writeFile(join(directory, served.key.name), served.key.publicPem);
  const words = ["--conditions=melange2-source", fileURLToPath(sample), served.url, served.key.name, "b"];
  const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: directory });
  expect(stdout).toBe(served.packages.map(({ checksum }) => `apk-cache/packages/${checksum}.apk\n`).join(""));
});
