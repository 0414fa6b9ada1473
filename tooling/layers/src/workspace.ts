import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";

export interface Manifest {
  name: string;
  exports?: Record<string, unknown>;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  /** What the package brings as a plugin: by kind, the names with their modules. */
  melange2?: Readonly<Record<string, unknown>>;
}

export interface SourceFile {
  /** Relative to the root of the workspace, with forward slashes. */
  path: string;
  text: string;
  /** Part of what is published, as opposed to tests and build configuration. */
  shipped: boolean;
}

export interface WorkspacePackage {
  /** Its folder, relative to the root of the workspace. */
  folder: string;
  manifest: Manifest;
  files: readonly SourceFile[];
}

const groups = ["packages", "apps", "tooling"];
const skipped = new Set(["node_modules", "dist", "coverage", "gen"]);

/** Every package of the workspace with all its sources. */
export function readWorkspace(root: string): WorkspacePackage[] {
  return groups.flatMap((group) =>
    foldersIn(join(root, group)).flatMap((name) => {
      const folder = `${group}/${name}`;
      const manifest = readManifest(join(root, folder, "package.json"));
      if (manifest === undefined) return [];
      return [{ folder, manifest, files: readSources(root, join(root, folder)) }];
    }),
  );
}

const foldersIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !skipped.has(entry.name))
    .map((entry) => entry.name)
    .sort();

function readManifest(file: string): Manifest | undefined {
  return statSync(file, { throwIfNoEntry: false }) && (JSON.parse(readFileSync(file, "utf8")) as Manifest);
}

function readSources(root: string, folder: string): SourceFile[] {
  const found: SourceFile[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !skipped.has(entry.name)) found.push(...readSources(root, path));
    if (!entry.isFile() || !/\.(ts|mts|js|mjs)$/.test(entry.name)) continue;
    const name = relative(root, path).split(sep).join("/");
    found.push({ path: name, text: readFileSync(path, "utf8"), shipped: isShipped(name) });
  }
  return found;
}

const isShipped = (path: string): boolean =>
  /^[^/]+\/[^/]+\/(src|bin)\//.test(path) && !/\.test\.[a-z]+$/.test(path) && !path.includes("/test/");
