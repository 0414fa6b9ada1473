import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Blob, randomImage, readyBlob, writeArchive } from "@melange2/oci";
import { startMemoryRegistry } from "@melange2/testkit";
import { expect, onTestFinished, test } from "vitest";

const sample = new URL("samples/push-and-pull.ts", import.meta.url);

test("the README shows the sample as it is, and it does what it says", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  expect(readme).toContain(`\`\`\`ts file=push-and-pull.ts\n${await readFile(sample, "utf8")}\`\`\``);

  const directory = await mkdtemp(join(tmpdir(), "melange2-readme-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  await using registry = await startMemoryRegistry();
  const archive = join(directory, "image.tar");
  await writeFile(archive, await anArchive());
  const words = ["--conditions=melange2-source", fileURLToPath(sample), archive, `${registry.host}/team/debug:latest`];
  const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: directory });
  expect(stdout).toMatch(/^pushed (sha256:[0-9a-f]{64}), \d+ bytes\npulled \S+\/team\/debug@\1, 3 layers\n$/);
});

async function anArchive(): Promise<Buffer> {
  const { config, layers } = randomImage(1);
  const blobs = await Promise.all(layers.map((layer) => readyBlob(layer, "none")));
  const chunks: Uint8Array[] = [];
  const sink = { write: async (chunk: Uint8Array) => void chunks.push(chunk.slice()), close: async () => {} };
  await writeArchive(sink, { config, layers: blobs as Blob[], names: [] });
  return Buffer.concat(chunks);
}
