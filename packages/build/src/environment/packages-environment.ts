import { readFile } from "node:fs/promises";
import type { FetchedPackage, LockedRequest, LockFile } from "@melange2/apk-client";
import { type Environment, MelangeError, type Platform, runTask, type TaskTeller } from "@melange2/core";
import { installPackages } from "@melange2/environment";
import type { EnvironmentRequest } from "@melange2/recipe";
import type { BuildHost } from "../host.ts";

/** What a user says of packages beside the recipe. */
export interface PackageOptions {
  /** Where indexes and packages are kept. Absolute. Default: the host's place for them. */
  readonly cacheDirectory?: string | undefined;
  /** Takes indexes that no known key has signed. */
  readonly ignoreSignatures?: boolean;
  /** Takes everything from the cache. */
  readonly offline?: boolean;
  /** A file with the exact packages; undefined: they are resolved. */
  readonly lock?: string | undefined;
}

export interface PackagesEnvironmentOptions extends TaskTeller {
  /** Names the environment in tasks. */
  readonly name: string;
  readonly request: EnvironmentRequest;
  /** Undefined: the packages are all there is. */
  readonly base: Environment | undefined;
  /** The text of the base's own database of apk packages. */
  readonly installed: string | undefined;
  readonly platform: Platform;
  readonly arch: string;
  readonly packages: PackageOptions;
  readonly host: Pick<BuildHost, "places" | "directory" | "env">;
  /** Where layers are kept. */
  readonly layersDirectory: string;
  readonly sourceDateEpoch: number;
  readonly signal: AbortSignal;
}

/** A package of an environment, and where it is from. */
export interface EnvironmentPackage {
  readonly name: string;
  readonly version: string;
  readonly origin?: string;
  /** SHA-1 of the control data, as the index has it, lowercase hex; empty where it has none. */
  readonly checksum: string;
  /** Address of its repository's folder for the architecture; absent: the base brought it. */
  readonly repository?: string;
}

export interface PackagesEnvironment {
  readonly environment: Environment;
  /** What makes the same environment again. */
  readonly lock: LockFile;
  readonly packages: readonly EnvironmentPackage[];
}

/**
 * The environment that a recipe's packages make: resolved against its repositories, or taken from a lock file; fetched, verified and installed as layers, on
 * the base where there is one. Rejects with `environment`.
 */
export async function packagesEnvironment(options: PackagesEnvironmentOptions): Promise<PackagesEnvironment> {
  const { name, request, arch, packages, signal } = options;
  const { isApkError } = await import("@melange2/apk");
  try {
    const chosen = await (packages.lock === undefined
      ? resolvedPackages(options)
      : lockedChoice(options, packages.lock));
    const count = chosen.files.length === 1 ? "1 package" : `${chosen.files.length} packages`;
    const { environment } = await runTask(options, { id: `install ${name}`, label: `install ${count}` }, (onProgress) =>
      installPackages({
        packages: chosen.files,
        base: options.base ?? { platform: options.platform, config: { Env: [path] }, layers: [] },
        world: chosen.world,
        repositories: [...new Set([...request.repositories, ...request.runtimeRepositories].map(shownLine))].sort(),
        keys: [
          ...chosen.keys,
          ...request.runtimeKeyring.map(({ name: keyName, content }) => ({ name: keyName, pem: content })),
        ],
        arch,
        sourceDateEpoch: options.sourceDateEpoch,
        cacheDirectory: options.layersDirectory,
        signal,
        onProgress: ({ done, total }) => onProgress(done, total),
      }),
    );
    return { environment, packages: chosen.packages, lock: chosen.lock };
  } catch (error) {
    if (signal.aborted)
      throw new MelangeError("interrupted", "interrupted while the environment was made", { hint: "Start it again." });
    if (!isApkError(error)) throw error;
    throw new MelangeError("environment", error.message, { hint: error.hint, cause: error });
  }
}

/** What goes into an environment, fetched. */
interface Choice {
  readonly files: readonly FetchedPackage[];
  /** For /etc/apk/world. */
  readonly world: readonly string[];
  readonly keys: readonly { readonly name: string; readonly pem: string }[];
  readonly packages: readonly EnvironmentPackage[];
  readonly lock: LockFile;
}

async function resolvedPackages(options: PackagesEnvironmentOptions): Promise<Choice> {
  const { name, request, arch, packages, tell } = options;
  const { parseIndexText, resolveEnvironment } = await import("@melange2/apk");
  const { installedUrl, lockFile, openRepositories } = await import("@melange2/apk-client");
  const installed = options.installed === undefined ? [] : parseIndexText(options.installed, "the base's database");
  if (packages.ignoreSignatures)
    tell({
      type: "notice",
      level: "warning",
      message: "package indexes are taken whoever signed them: whoever can change them decides what runs in the build",
      hint: "Leave out --ignore-signatures, and name the repositories' keys.",
    });
  using repositories = await runTask(options, { id: `index ${name}`, label: "read package indexes" }, () =>
    openRepositories({
      ...reachOf(options),
      repositories: repositoriesOf(request),
      keyring: request.keyring,
      arch,
      installed,
      ignoreSignatures: packages.ignoreSignatures ?? false,
    }),
  );
  for (const message of repositories.warnings) tell({ type: "notice", level: "warning", message });
  const resolved = await runTask(options, { id: `resolve ${name}`, label: "resolve packages" }, async () =>
    resolveEnvironment(repositories.universe, [
      ...installed.map((one) => `${one.name}=${one.version}`),
      ...request.packages,
    ]),
  );
  for (const message of resolved.warnings) tell({ type: "notice", level: "warning", message });
  const all = resolved.packages.map(({ record, repository }) => ({
    name: record.name,
    version: record.version,
    origin: record.origin,
    repositoryUrl: repository.url,
    checksum: record.checksum,
    size: record.size,
  }));
  const added = all.filter(({ repositoryUrl }) => repositoryUrl !== installedUrl);
  const files = await fetchTask(options, added.length, (onBytes) => repositories.fetch(added, onBytes));
  const bare = added.map((one) => ({ ...one, repositoryUrl: withoutSecrets(one.repositoryUrl) }));
  return {
    files,
    world: resolved.locked,
    keys: repositories.keys,
    packages: all.map(({ repositoryUrl, size: _, origin, ...one }) => ({
      ...one,
      ...(origin === "" ? {} : { origin }),
      ...(repositoryUrl === installedUrl ? {} : { repository: withoutSecrets(repositoryUrl) }),
    })),
    lock: lockFile(lockedRequest(options), bare, repositories.keys),
  };
}

async function lockedChoice(options: PackagesEnvironmentOptions, lockFile: string): Promise<Choice> {
  const { fetchLocked, lockedPackages, parseLockFile } = await import("@melange2/apk-client");
  const text = await readFile(lockFile, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new MelangeError("usage", `the lock file ${lockFile} cannot be read: ${cause.code}`, {
      hint: "Write it first: melange2 environment RECIPE --lock-file FILE.",
      cause,
    });
  });
  const lock = parseLockFile(text, lockFile, lockedRequest(options));
  const locked = lockedPackages(lock);
  const reach = { ...reachOf(options), repositories: repositoriesOf(options.request), arch: options.arch };
  const files = await fetchTask(options, locked.length, (onBytes) => fetchLocked(lock, reach, onBytes));
  return {
    files,
    world: locked.map((one) => `${one.name}=${one.version}`).sort(),
    keys: lock.contents.keyring.map(({ name, content }) => ({ name, pem: content })),
    packages: locked.map(({ repositoryUrl, size: _, origin, ...one }) => ({
      ...one,
      ...(origin === "" ? {} : { origin }),
      repository: repositoryUrl,
    })),
    lock,
  };
}

function fetchTask<T>(
  options: PackagesEnvironmentOptions,
  packages: number,
  fetch: (onBytes: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  const label = `fetch ${packages === 1 ? "1 package" : `${packages} packages`}`;
  return runTask(options, { id: `fetch ${options.name}`, label }, (onProgress) => fetch(onProgress));
}

/** Where packages are looked for. */
export function repositoriesOf({ buildRepositories, repositories }: EnvironmentRequest): readonly string[] {
  return [...new Set([...buildRepositories, ...repositories])];
}

/** How repositories are reached. */
function reachOf({ packages, host, signal }: PackagesEnvironmentOptions) {
  return {
    cacheDirectory: packages.cacheDirectory ?? host.places.packages,
    offline: packages.offline ?? false,
    directory: host.directory,
    variables: host.env,
    signal,
  };
}

function lockedRequest({ name, arch, request }: PackagesEnvironmentOptions): LockedRequest {
  return { name, arch, packages: request.packages, repositories: repositoriesOf(request) };
}

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin";

/** A line for /etc/apk/repositories: whoever gets the image gets no credentials with it. */
function shownLine(line: string): string {
  return line.replace(/(:\/\/)[^/@\s]*@/, "$1");
}

/** An address without credentials. */
function withoutSecrets(url: string): string {
  if (!URL.canParse(url)) return url;
  const bare = new URL(url);
  bare.username = "";
  bare.password = "";
  bare.search = "";
  return bare.href;
}
