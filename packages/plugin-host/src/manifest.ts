import type { PluginManifest } from "@melange2/core";

/** What a plugin can contribute, by the key of its manifest. */
export const kinds = ["exporters", "captures", "engines"] as const;
export type Kind = (typeof kinds)[number];

/** An installed package, as whoever discovers plugins found it. Nothing of it has been imported. */
export interface PluginPackage {
  readonly name: string;
  readonly version: string;
  /** Absolute path of the folder that holds its package.json. */
  readonly root: string;
  /** Where it comes from, for people: `built-in`, `installed`, `linked`. Only `built-in` means something here. */
  readonly origin: string;
  /** The `melange2` key of its package.json, unchecked; undefined: not a plugin of ours. */
  readonly manifest: unknown;
}

const contributionName = /^[a-z][a-z0-9-]*$/;

/** The manifest, or what is wrong with it, one sentence each. */
export function checkManifest(value: unknown): { manifest: PluginManifest } | { problems: readonly string[] } {
  if (!isRecord(value)) return { problems: [`"melange2" is not an object`] };
  if (value.contract !== 1) {
    return { problems: [`"melange2.contract" is ${JSON.stringify(value.contract)}; this version understands 1`] };
  }
  const problems: string[] = [];
  for (const key of Object.keys(value)) {
    if (key !== "contract" && !kinds.includes(key as Kind)) problems.push(`"melange2.${key}" is not known`);
  }
  for (const kind of kinds) {
    const entries = value[kind];
    if (entries === undefined) continue;
    if (!isRecord(entries)) {
      problems.push(`"melange2.${kind}" is not an object`);
      continue;
    }
    for (const [name, path] of Object.entries(entries)) problems.push(...checkEntry(kind, name, path));
  }
  return problems.length > 0 ? { problems } : { manifest: value as unknown as PluginManifest };
}

function checkEntry(kind: Kind, name: string, path: unknown): readonly string[] {
  const where = `"melange2.${kind}.${name}"`;
  if (!contributionName.test(name)) return [`${where}: a name is lowercase letters, digits and dashes`];
  if (typeof path !== "string" || !path.startsWith("./") || path.split(/[\\/]/).includes("..")) {
    return [`${where} must be a path inside the package that begins with "./"`];
  }
  return [];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
