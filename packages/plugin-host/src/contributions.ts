import { checkManifest, type Kind, kinds, type PluginPackage } from "./manifest.ts";

/** One name that one package offers. */
export interface Contribution {
  readonly kind: Kind;
  readonly name: string;
  readonly plugin: PluginPackage;
  /** Module path inside the package, `./dist/index.js`. */
  readonly module: string;
}

/** A package that was left out, or a name that was. Worth a warning; never stops a build that does not use it. */
export interface PluginProblem {
  readonly plugin: Omit<PluginPackage, "manifest">;
  readonly message: string;
  /** What the package does not bring because of it; empty: nobody can tell. Asking for a name that nobody else has is an error with this as its reason. */
  readonly names: readonly { readonly kind: Kind; readonly name: string }[];
}

export interface Contributions {
  readonly all: readonly Contribution[];
  readonly problems: readonly PluginProblem[];
}

/**
 * Reads the manifests and decides who owns which name. A built-in name stays with the built-in package; a name that two
 * other packages claim belongs to neither. Imports nothing.
 */
export function collectContributions(plugins: readonly PluginPackage[]): Contributions {
  const problems: PluginProblem[] = [];
  const claims = new Map<string, Contribution[]>();
  for (const plugin of plugins) {
    if (plugin.manifest === undefined) continue;
    const checked = checkManifest(plugin.manifest);
    if ("problems" in checked) {
      problems.push({
        plugin: withoutManifest(plugin),
        message: checked.problems.join("; "),
        names: namesIn(plugin.manifest),
      });
      continue;
    }
    for (const kind of kinds) {
      for (const [name, module] of Object.entries(checked.manifest[kind] ?? {})) {
        const key = `${kind}/${name}`;
        claims.set(key, [...(claims.get(key) ?? []), { kind, name, plugin, module }]);
      }
    }
  }
  const all: Contribution[] = [];
  for (const claimants of claims.values()) {
    const owner = claimants.length === 1 ? claimants[0] : claimants.find((claim) => claim.plugin.origin === "built-in");
    if (owner) all.push(owner);
    for (const claim of claimants) {
      if (claim === owner) continue;
      const others = claimants.filter((other) => other !== claim).map((other) => describe(other.plugin));
      problems.push({
        plugin: withoutManifest(claim.plugin),
        message: `${singular(claim.kind)} "${claim.name}" of ${describe(claim.plugin)} is also a name of ${others.join(" and of ")}`,
        names: [{ kind: claim.kind, name: claim.name }],
      });
    }
  }
  return { all: all.sort((a, b) => (a.name < b.name ? -1 : 1)), problems };
}

export function singular(kind: Kind): string {
  return { exporters: "exporter", captures: "capture strategy", engines: "engine" }[kind];
}

function withoutManifest({ manifest: _manifest, ...plugin }: PluginPackage): PluginProblem["plugin"] {
  return plugin;
}

function describe(plugin: PluginPackage): string {
  return `${plugin.name} ${plugin.version} (${plugin.origin})`;
}

function namesIn(manifest: unknown): PluginProblem["names"] {
  if (typeof manifest !== "object" || manifest === null) return [];
  return kinds.flatMap((kind) => {
    const entries = (manifest as Record<string, unknown>)[kind];
    return typeof entries === "object" && entries !== null ? Object.keys(entries).map((name) => ({ kind, name })) : [];
  });
}
