import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { repositoryRoot, run } from "@melange2-tooling/machine";
import type { Pack } from "./pack.ts";
import { readManifest, typedEntries } from "./packages.ts";

/**
 * A project that has installed the packs, and nothing of the workspace, imports every entry: once for the types, with the libraries'
 * own declarations checked, and once to run. `folder` is the one that the packs were unpacked below.
 */
export async function checkAsConsumer(packs: readonly Pack[], folder: string): Promise<string[]> {
  for (const pack of packs) await linkThirdParty(pack);
  await symlinkInto(join(repositoryRoot, "node_modules/@types/node"), join(folder, "node_modules/@types/node"));
  const modules = packs.flatMap(({ unpacked }) => typedEntries(readManifest(unpacked)).map(({ module }) => module));
  const imports = modules.map((module, index) => `import * as m${index} from ${JSON.stringify(module)};`);
  const uses = modules.map((_, index) => `m${index}`);
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  await writeFile(join(folder, "consumer.ts"), `${imports.join("\n")}\nexport const all = [${uses.join(", ")}];\n`);
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
  const tried = [
    { what: "types", argv: ["tsc", "-p", folder] },
    ...modules.map((module) => ({
      what: `import of ${module}`,
      argv: ["node", "--input-type=module", "-e", `await import(${JSON.stringify(module)})`],
    })),
  ];
  const problems: string[] = [];
  for (const { what, argv } of tried) {
    await run(argv, { cwd: folder }).catch((error: Error) => problems.push(`${what}: ${error.message}`));
  }
  return problems;
}

const compilerOptions = {
  target: "es2024",
  lib: ["es2024", "esnext.disposable"],
  module: "nodenext",
  types: ["node"],
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  noEmit: true,
};

/** What a registry would bring comes from the workspace's own installation. */
export async function linkThirdParty({ package: { folder }, unpacked }: Pack): Promise<void> {
  const { dependencies = {} } = readManifest(unpacked);
  for (const name of Object.keys(dependencies)) {
    if (/^@melange2\//.test(name)) continue;
    await symlinkInto(join(folder, "node_modules", name), join(unpacked, "node_modules", name));
  }
}

async function symlinkInto(target: string, link: string): Promise<void> {
  await mkdir(dirname(link), { recursive: true });
  if (!(await readdir(dirname(link))).includes(link.slice(dirname(link).length + 1))) await symlink(target, link);
}
