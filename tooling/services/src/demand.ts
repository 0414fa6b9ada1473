import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type Program, programPackages } from "@melange2-tooling/machine";
import type { Provision } from "./provision.ts";
import { type ProvisionName, provisions } from "./provisions.ts";

export interface Demand {
  provisions: readonly ProvisionName[];
  programs: readonly Program[];
}

/** What the test files, and the files they import by relative path, name: variables of provisions, and programs in quotes. */
export async function demandOf(testFiles: readonly string[]): Promise<Demand> {
  const texts = await closure(testFiles);
  const named = new Set(texts.flatMap((text) => text.match(/\bMELANGE2_TEST_[A-Z0-9_]+/g) ?? []));
  const quoted = new Set(texts.flatMap((text) => text.match(/(?<=["'`])[a-z]+(?=["'`])/g) ?? []));
  const all = Object.entries(provisions) as [ProvisionName, Provision][];
  return {
    provisions: all.filter(([, { variables }]) => variables.some((name) => named.has(name))).map(([name]) => name),
    programs: (Object.keys(programPackages) as Program[]).filter((name) => quoted.has(name)),
  };
}

async function closure(files: readonly string[]): Promise<string[]> {
  const texts = new Map<string, string>();
  const waiting = [...files];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (texts.has(file) || !existsSync(file)) continue;
    const text = await readFile(file, "utf8");
    texts.set(file, text);
    for (const [, path = ""] of text.matchAll(/(?:from|import\(?)\s*"(\.[^"]+)"/g)) {
      waiting.push(resolve(dirname(file), path));
    }
  }
  return [...texts.values()];
}
