import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { lineChanges } from "./line-changes.ts";
import { type PublicPackage, shortName, typedEntries } from "./packages.ts";
import { describeSurface } from "./surface.ts";

const folder = resolve(import.meta.dirname, "../api");

/** Holds the built surface of a package against its snapshot, or, with `update`, takes a new one. */
export function checkSurface({ folder: root, manifest }: PublicPackage, update: boolean): string[] {
  const entries = typedEntries(manifest);
  if (entries.length === 0) return [];
  const surface = entries
    .map(({ module, types }) => `// ${module}\n\n${describeSurface(join(root, types))}`)
    .join("\n");
  const file = join(folder, `${shortName(manifest)}.api.txt`);
  if (update) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, surface);
    return [];
  }
  const snapshot = readSnapshot(file);
  if (snapshot === surface) return [];
  const changes = snapshot === undefined ? "there is no snapshot yet" : lineChanges(snapshot, surface).join("\n");
  return [`the public surface is not that of ${file}; if meant so: npm run check:publish -- --update\n${changes}`];
}

function readSnapshot(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
