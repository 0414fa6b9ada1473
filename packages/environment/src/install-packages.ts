import {
  isApkError,
  type PackageListing,
  type PackagePlan,
  type PackageSource,
  planInstallation,
  systemEntries,
  wholePackage,
} from "@melange2/apk";
import { type Environment, MelangeError } from "@melange2/core";
import { type ByteString, isOciError, type Layer, layerFromEntries, type TarHeader, tarHeader } from "@melange2/oci";
import { type BaseFacts, baseFacts } from "./base-facts.ts";
import { openCache } from "./cache.ts";
import { missingPackages } from "./missing-packages.ts";
import { translated } from "./oci-error.ts";
import { joinedLayer, type PackageLayer, packageLayer } from "./package-layers.ts";
import type { OnProgress } from "./progress.ts";

export interface InstallOptions {
  /** Package files of this machine, in the order of installation. */
  readonly packages: readonly PackageSource[];
  /** What they are installed on; its own packages stay. */
  readonly base: Environment;
  /** `NAME=VERSION` of what is to be there, for `/etc/apk/world`. */
  readonly world: readonly string[];
  /** For `/etc/apk/repositories`. */
  readonly repositories: readonly string[];
  /** For `/etc/apk/keys`. */
  readonly keys: readonly { readonly name: string; readonly pem: string }[];
  /** apk's name of the architecture. */
  readonly arch: string;
  readonly sourceDateEpoch: number;
  /** The same as for `openBase`. */
  readonly cacheDirectory: string;
  readonly signal: AbortSignal;
  readonly onProgress?: OnProgress | undefined;
}

export interface InstalledEnvironment {
  /** The base's layers, one for each package (the smallest share one where there are many), and one for what no package owns. */
  readonly environment: Environment;
  readonly listings: readonly PackageListing[];
}

/** A base's own database of apk packages. */
export interface ApkDatabase {
  /** As apk writes it: `/lib/apk/db/installed`. */
  readonly text: string;
  /** Those of these dependency atoms that no installed package fulfils. */
  missing(atoms: readonly string[]): readonly string[];
}

/** Undefined where the base has no such database. */
export async function apkDatabase(
  base: Environment,
  { cacheDirectory, signal }: Pick<InstallOptions, "cacheDirectory" | "signal">,
): Promise<ApkDatabase | undefined> {
  const cache = await openCache(cacheDirectory);
  const { apk, installed } = await translated("the base cannot be read", () => baseFacts(base, cache, signal));
  return apk && { text: apk.installed, missing: (atoms) => missingPackages(atoms, installed).atoms };
}

/** Docker takes 127 layers of an image in all: a base, accounts, the workspace, steps and the debug files have the others. */
export const mostPackageLayers = 60;

/**
 * Installs apk packages into layers, without a package manager and without running anything of them. Layers depend on their package alone, so that a
 * changed package costs that package. The same packages on the same base give the same diff IDs. Rejects with `environment`.
 */
export async function installPackages(options: InstallOptions): Promise<InstalledEnvironment> {
  const { base, signal } = options;
  const cache = await openCache(options.cacheDirectory);
  try {
    const facts = base.layers.length === 0 ? undefined : await baseFacts(base, cache, signal);
    const whole = await layersOf(options, () => wholePackage);
    const plan = planInstallation(
      whole.map(({ listing }) => listing),
      facts?.tree,
    );
    const own = await layersOf(options, (index) => plan.packages[index] ?? wholePackage, whole);
    const layers = await grouped(own);
    const system = systemEntries({
      plan,
      listings: own.map(({ listing }) => listing),
      world: options.world,
      repositories: options.repositories,
      keys: options.keys,
      arch: options.arch,
      stated: statedFolders(own),
      before: databaseOf(facts),
      databaseFolder: facts?.apk?.folder ?? "usr/lib/apk/db",
      sourceDateEpoch: options.sourceDateEpoch,
    });
    const top = await cache.keep(layerFromEntries(system as Parameters<typeof layerFromEntries>[0]));
    return {
      environment: { ...base, layers: [...base.layers, ...layers, top] },
      listings: own.map(({ listing }) => listing),
    };
  } catch (error) {
    if (!isApkError(error) && !isOciError(error)) throw error;
    throw new MelangeError("environment", error.message, { hint: error.hint, cause: error });
  }

  /** Some at a time: decompressing happens on other threads. */
  async function layersOf(
    { packages, onProgress }: InstallOptions,
    planOf: (index: number) => PackagePlan,
    known: readonly PackageLayer[] = [],
  ): Promise<readonly PackageLayer[]> {
    const layers: PackageLayer[] = [...known];
    let next = 0;
    let done = 0;
    const total = packages.reduce((sum, { size = 0 }) => sum + size, 0);
    const worker = async (): Promise<void> => {
      for (let index = next++; index < packages.length; index = next++) {
        const plan = planOf(index);
        const ready = known[index] && plan.leftOut.size === 0 && plan.moved.size === 0;
        if (!ready) layers[index] = await packageLayer(packages[index] as PackageSource, plan, { cache, signal });
        done += packages[index]?.size ?? 0;
        if (known.length === 0) onProgress?.({ what: "installing packages", done, total });
      }
    };
    await Promise.all(Array.from({ length: 3 }, worker));
    return layers;
  }

  /** The largest have layers of their own; the others share the lowest. */
  async function grouped(own: readonly PackageLayer[]): Promise<readonly Layer[]> {
    const filled = own.filter(({ listing }) => listing.entries.length > 0);
    if (filled.length <= mostPackageLayers) return filled.map(({ layer }) => layer);
    const bySize = [...filled].sort((a, b) => (b.layer.tarSize ?? 0) - (a.layer.tarSize ?? 0));
    const large = new Set(bySize.slice(0, mostPackageLayers - 1));
    const small = filled.filter((each) => !large.has(each)).map(({ layer }) => layer);
    return [await joinedLayer(small, cache), ...filled.filter((each) => large.has(each)).map(({ layer }) => layer)];
  }
}

/** How the layers show folders: as the topmost one says that has each. */
function statedFolders(own: readonly PackageLayer[]): ReadonlyMap<ByteString, TarHeader> {
  const stated = new Map<ByteString, TarHeader>();
  if (own.length > mostPackageLayers) return stated;
  for (const { listing, folders } of own) {
    const listed = new Map(listing.entries.map((entry) => [entry.path, entry]));
    for (const path of folders) {
      const { mode = 0o755, uid = 0, gid = 0, time = 0 } = listed.get(path) ?? {};
      stated.set(
        path,
        tarHeader({ name: path, type: "directory", mode, uid, gid, mtime: BigInt(time) * 1_000_000_000n }),
      );
    }
  }
  return stated;
}

function databaseOf(facts: BaseFacts | undefined) {
  const { installed = "", triggers = "", world = "" } = facts?.apk ?? {};
  return { installed, triggers, world: world.split("\n").filter(Boolean) };
}
