import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { repositoryRoot, run } from "@melange2-tooling/machine";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import type { Pack } from "./pack.ts";
import { readManifest, typedEntries } from "./packages.ts";

/** What is wrong with a pack as a thing to install: missing files, files that are no business of its users, what the linters say. */
export async function checkPack(pack: Pack): Promise<string[]> {
  return [...(await checkFiles(pack)), ...checkPaths(pack), ...(await lint(pack)), ...(await checkTypes(pack))];
}

async function checkFiles({ unpacked }: Pack): Promise<string[]> {
  const files = await readdir(unpacked, { recursive: true });
  const lacking = ["README.md", "LICENSE"]
    .filter((name) => !files.includes(name))
    .map((name) => `the pack lacks ${name}`);
  const extra = files
    // A template is what its users start from, tests included.
    .filter((name) => !name.startsWith("template/") && /\.test\.[cm]?[jt]s$|^(src|test|tsconfig|tsup)\b/.test(name))
    .map((name) => `the pack has ${name}`);
  const manifest = JSON.stringify(readManifest(unpacked));
  const leftovers = ["workspace:", "melange2-source", "@melange2-tooling/"]
    .filter((text) => manifest.replace(/"devDependencies":\{[^}]*\}/, "").includes(text))
    .map((text) => `the packed manifest still says ${text}`);
  return [...lacking, ...extra, ...leftovers];
}

/** Every file that the manifest names: entries, commands, plugin modules. */
function checkPaths({ unpacked }: Pack): string[] {
  const { exports, bin, melange2 } = readManifest(unpacked);
  const named = JSON.stringify([exports, bin, melange2]).match(/(?<=")\.\/[^"*]+\.[^"*]+(?=")/g) ?? [];
  return [...new Set(named)]
    .filter((path) => !existsSync(join(unpacked, path)))
    .map((path) => `${path} is named and not there`);
}

async function lint({ tarball, unpacked }: Pack): Promise<string[]> {
  const bytes = await readFile(tarball);
  const packed = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  const { messages } = await publint({ pack: { tarball: packed }, strict: true });
  const manifest = readManifest(unpacked);
  return messages
    .filter(({ type }) => type !== "suggestion")
    .map((message) => `publint: ${formatMessage(message, manifest, { color: false }) ?? message.code}`);
}

async function checkTypes({ tarball, unpacked }: Pack): Promise<string[]> {
  if (typedEntries(readManifest(unpacked)).length === 0) return [];
  try {
    await run(["attw", "--profile", "esm-only", "--no-color", "--no-emoji", tarball], { cwd: repositoryRoot });
    return [];
  } catch (error) {
    return [`attw: ${(error as Error).message}`];
  }
}
