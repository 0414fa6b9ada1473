import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "@melange2-tooling/machine";
import type { Manifest } from "./manifest.ts";

export interface PublicPackage {
  /** Absolute. */
  folder: string;
  manifest: Manifest;
}

/** Every package of the workspace that is meant to be published. */
export function publicPackages(): PublicPackage[] {
  return ["packages", "apps"]
    .flatMap((group) => readdirSync(join(repositoryRoot, group)).map((name) => join(repositoryRoot, group, name)))
    .filter((folder) => existsSync(join(folder, "package.json")))
    .map((folder) => ({ folder, manifest: readManifest(folder) }))
    .filter(({ manifest }) => manifest.private !== true);
}

export const readManifest = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;

/** The name without its scope, as folders and snapshots are called. */
export const shortName = ({ name }: Manifest): string => name.replace(/^@melange2\//, "");

export interface Entry {
  /** What a consumer imports, such as `@melange2/core`. */
  module: string;
  /** Relative to the package. */
  types: string;
}

/** The entries of a package that have types. */
export function typedEntries({ name, exports = {} }: Manifest): Entry[] {
  return Object.entries(exports).flatMap(([path, target]) =>
    typeof target === "object" && target.types !== undefined
      ? [{ module: `${name}${path.slice(1)}`, types: target.types }]
      : [],
  );
}
