import {
  ApkError,
  createUniverse,
  isApkError,
  type PackageIndex,
  type PackageRecord,
  type PublicKey,
  type RepositoryIndex,
  readIndexArchive,
  type Universe,
} from "@melange2/apk";
import { onCache, translated } from "./cache-errors.ts";
import { type HttpVariables, httpClient } from "./http.ts";
import { type FetchedIndex, fetchIndex } from "./index-cache.ts";
import { discoverKeys } from "./key-discovery.ts";
import { below, readKeyring } from "./keys.ts";
import { type LockFile, lockedPackages } from "./lock-file.ts";
import { type FetchedPackage, fetchPackages, type PackageToFetch } from "./package-cache.ts";
import { parseRepository, type Repository } from "./repository-line.ts";

export interface RepositoriesOptions {
  /** Lines as of `/etc/apk/repositories`: `ADDRESS`, `@TAG ADDRESS`; addresses of http, https or `file:`, or folders. */
  readonly repositories: readonly string[];
  /** Files and addresses of public keys. */
  readonly keyring: readonly string[];
  /** Takes indexes whether they are signed or not. */
  readonly ignoreSignatures: boolean;
  /** apk's name of the architecture: `x86_64`, `aarch64`. */
  readonly arch: string;
  /** Packages that are there already: they come first wherever they fit, from a repository whose address is {@link installedUrl}. */
  readonly installed?: readonly PackageRecord[] | undefined;
  /** What relative paths are relative to. */
  readonly directory: string;
  /** Where indexes and packages are kept, shared by all builds. */
  readonly cacheDirectory: string;
  /** Takes everything from the cache, and fetches nothing over the network. */
  readonly offline: boolean;
  readonly variables: HttpVariables;
  readonly signal: AbortSignal;
  /** Address of Alpine's list of its releases and their keys; default: Alpine's own. */
  readonly alpineReleases?: string | undefined;
  readonly http?: { readonly attempts?: number; readonly idleTimeout?: number; readonly firstPause?: number };
}

/** Repositories whose indexes were read and found good. */
export interface Repositories extends Disposable {
  readonly universe: Universe;
  /** The keyring's, and those that repositories publish and have signed with. */
  readonly keys: readonly PublicKey[];
  /** What whoever builds should hear: folders without an index. A sentence each. */
  readonly warnings: readonly string[];
  /**
   * The files of packages, in the same order: those of folders where they lie, others from the cache, fetched where it lacks them, each verified. `onBytes`
   * tells bytes there so far and in all. Rejects with `unavailable` or `package`.
   */
  fetch(
    packages: readonly PackageToFetch[],
    onBytes?: (done: number, total: number) => void,
  ): Promise<readonly FetchedPackage[]>;
}

/** Opens repositories: reads keys and indexes, over the network where they are there. Rejects with an ApkError, or with the signal's reason. */
export async function openRepositories(options: RepositoriesOptions): Promise<Repositories> {
  const { arch, directory, offline, signal, ignoreSignatures, cacheDirectory } = options;
  const repositories = options.repositories.map((line) => parseRepository(line, directory));
  const http = httpClient({ variables: options.variables, signal, ...options.http });
  const keyOptions = { http, cacheDirectory, offline };
  try {
    const keyring = ignoreSignatures ? [] : await readKeyring(options.keyring, { directory, ...keyOptions });
    const found = new Map<string, PublicKey>(keyring.map((key) => [key.name, key]));
    const opened = await Promise.all(
      repositories.map(async (repository) => {
        const index = await fetchIndex(repository, arch, { http, directory: cacheDirectory, offline });
        if (!index) return { repository, index: undefined };
        const read = await verified(index, repository);
        for (const key of read.discovered) found.set(key.name, key);
        return { repository, index: read.index };
      }),
    );
    const indexes = opened.flatMap(({ repository, index }) => (index ? [indexed(repository, index, arch)] : []));
    const places = new Map(indexes.map((index) => [index.url, index.repository]));
    return {
      universe: createUniverse([...installedIndex(options.installed), ...indexes]),
      keys: [...found.values()],
      warnings: opened.flatMap(({ repository, index }) =>
        index ? [] : [`${repository.shown} has no index for ${arch} and is passed over.`],
      ),
      fetch: (packages, onBytes = () => {}) =>
        onCache(cacheDirectory, () =>
          fetchPackages(packages, { places, http, directory: cacheDirectory, offline, signal, onBytes }),
        ),
      [Symbol.dispose]: () => http.close(),
    };

    async function verified(
      index: FetchedIndex,
      repository: Repository,
    ): Promise<{ readonly index: PackageIndex; readonly discovered: readonly PublicKey[] }> {
      const { bytes, what } = index;
      const read = async (keys: readonly PublicKey[]) =>
        readIndexArchive(bytes, { what, keys: ignoreSignatures ? "ignored" : keys });
      let discovered: readonly PublicKey[] = [];
      const good = await read(keyring).catch(async (error: unknown) => {
        if (!isApkError(error) || error.code !== "signature" || repository.at.kind !== "http") throw error;
        discovered = await discoverKeys(repository.at.url, {
          ...keyOptions,
          arch,
          alpineReleases: options.alpineReleases,
        });
        if (discovered.length === 0) throw error;
        return read([...keyring, ...discovered]);
      });
      refuseOlder(index, good);
      await index.keep(newestOf(good));
      return { index: good, discovered: discovered.filter(({ name }) => name === good.signedBy) };
    }
  } catch (error) {
    http.close();
    throw translated(error, cacheDirectory);
  }
}

/** What stands for an address of packages that are installed. */
export const installedUrl = "installed:";

function installedIndex(packages: readonly PackageRecord[] = []): readonly RepositoryIndex[] {
  return packages.length === 0 ? [] : [{ url: installedUrl, tag: "", packages }];
}

/**
 * Fetches the packages of a lock file, whose repositories need no index. Credentials are those of `repositories`, since a lock file has none. Rejects as
 * {@link Repositories.fetch} does.
 */
export async function fetchLocked(
  lock: LockFile,
  options: Omit<RepositoriesOptions, "keyring" | "ignoreSignatures" | "installed">,
  onBytes: (done: number, total: number) => void = () => {},
): Promise<readonly FetchedPackage[]> {
  const { directory, cacheDirectory, offline, signal, arch } = options;
  const known = options.repositories.map((line) => parseRepository(line, directory));
  const places = new Map<string, Repository>();
  const packages = lockedPackages(lock).map((one) => {
    const its = known.find(({ shown }) => `${shown}/${arch}` === one.repositoryUrl);
    const repository = its ?? parseRepository(one.repositoryUrl, directory);
    const repositoryUrl = its ? addressOf(its, arch) : one.repositoryUrl;
    places.set(repositoryUrl, repository);
    return { ...one, repositoryUrl };
  });
  const http = httpClient({ variables: options.variables, signal, ...options.http });
  try {
    return await onCache(cacheDirectory, () =>
      fetchPackages(packages, { places, http, directory: cacheDirectory, offline, signal, onBytes }),
    );
  } finally {
    http.close();
  }
}

/** A mirror that shows yesterday's index withholds today's repairs: an index whose newest package is older than that of the one before is refused. */
function refuseOlder(fetched: FetchedIndex, index: PackageIndex): void {
  const newest = newestOf(index);
  if (newest >= fetched.newestBefore) return;
  const day = (seconds: number) => new Date(seconds * 1000).toISOString();
  throw new ApkError(
    "index",
    `${fetched.what} is older than it was: its newest package is of ${day(newest)}, and that of the last build's index of ${day(fetched.newestBefore)}`,
    { hint: `If packages were withdrawn, remove ${fetched.notePath}; otherwise ask whoever runs the repository.` },
  );
}

function newestOf({ packages }: PackageIndex): number {
  return packages.reduce((newest, { buildTime }) => Math.max(newest, buildTime), 0);
}

/** The index as the resolver takes it, and where its files are. */
function indexed(
  repository: Repository,
  { packages }: PackageIndex,
  arch: string,
): RepositoryIndex & { readonly repository: Repository } {
  const url = addressOf(repository, arch);
  return { url, shown: `${repository.shown}/${arch}`, tag: repository.tag, packages, repository };
}

/** Of its folder for the architecture, with credentials. */
function addressOf({ at }: Repository, arch: string): string {
  return at.kind === "http" ? below(at.url, arch).href : `${at.path}/${arch}`;
}
