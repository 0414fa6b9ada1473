import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MelangeError } from "@melange2/core";

/** The name of the template's exporter, which is a working one: what is created is the same under another name. */
const templateName = /\bshelf\b/g;

export interface NewExporter {
  /** Of the exporter; the package is `melange2-exporter-NAME`. */
  readonly name: string;
  /** Absolute; must not be there yet, or be empty. */
  readonly folder: string;
  /** Absolute folder of the template. */
  readonly template: string;
  /** The version of melange2 that it is made for. */
  readonly version: string;
}

/** Writes the package of an exporter that works; returns its files, relative to the folder. Rejects with `usage`. */
export async function createExporter(options: NewExporter): Promise<readonly string[]> {
  const { name, folder, template } = options;
  if (!/^[a-z][a-z0-9-]*$/.test(name)) {
    throw new MelangeError("usage", `"${name}" is no name for an exporter`, {
      hint: "Use lower-case letters, digits and dashes, such as s3 or team-storage.",
    });
  }
  if ((await readdir(folder).catch(whenMissing)).length > 0) {
    throw new MelangeError("usage", `${folder} is there already, and not empty`, {
      hint: "Choose another name, or start in another folder.",
    });
  }
  const entries = await readdir(template, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(template.length + 1));
  for (const file of files) {
    const text = await readFile(join(template, file), "utf8");
    await write(join(folder, file), text.replace(templateName, name));
  }
  await write(join(folder, "package.json"), `${JSON.stringify(manifest(options), undefined, 2)}\n`);
  return ["package.json", ...files].sort();
}

function manifest({ name, version }: NewExporter): object {
  return {
    name: packageName(name),
    version: "0.1.0",
    description: `The exporter ${name} for melange2`,
    type: "module",
    engines: { node: ">=22" },
    exports: { ".": "./src/index.js", "./package.json": "./package.json" },
    files: ["src"],
    scripts: {
      test: "node --test",
      types: "tsc",
    },
    // The first key lets melange2 find the package, the second says what it brings.
    oclif: {},
    melange2: { contract: 1, exporters: { [name]: "./src/index.js" } },
    devDependencies: {
      "@melange2/core": version,
      "@melange2/testkit": version,
      "@types/node": "^24.0.0",
      typescript: "^5.9.0",
    },
  };
}

export function packageName(name: string): string {
  return `melange2-exporter-${name}`;
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text, { flag: "wx" });
}

function whenMissing(error: NodeJS.ErrnoException): string[] {
  if (error.code === "ENOENT") return [];
  throw new MelangeError("usage", `${error.path} cannot be used: ${error.message}`, {
    hint: "Choose another name, or start in another folder.",
    cause: error,
  });
}
