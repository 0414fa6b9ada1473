import { type Environment, MelangeError, type Platform, runTask, type TaskTeller } from "@melange2/core";
import { installPackages } from "@melange2/environment";
import type { EnvironmentRequest } from "@melange2/recipe";

/** What a user says of packages beside the recipe. */
export interface PackageOptions {
  /** Where indexes and packages are kept. Absolute. */
  readonly cacheDirectory: string;
  readonly ignoreSignatures: boolean;
  readonly offline: boolean;
  /** What relative repositories and keys are relative to. */
  readonly directory: string;
  /** HTTP_AUTH and the proxies are taken from it. */
  readonly env: Readonly<Record<string, string | undefined>>;
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
  readonly packages: readonly EnvironmentPackage[];
}

/**
 * The environment that a recipe's packages make: resolved against its repositories, fetched, verified and installed as layers, on the base where there is one.
 * Rejects with `environment`.
 */
export async function packagesEnvironment(options: PackagesEnvironmentOptions): Promise<PackagesEnvironment> {
  const { name, request, arch, packages, signal } = options;
  const { isApkError, parseIndexText, resolveEnvironment } = await import("@melange2/apk");
  const { installedUrl, openRepositories } = await import("@melange2/apk-client");
  try {
    const installed = options.installed === undefined ? [] : parseIndexText(options.installed, "the base's database");
    using repositories = await runTask(options, { id: `index ${name}`, label: "read package indexes" }, () =>
      openRepositories({
        ...packages,
        repositories: request.repositories,
        keyring: request.keyring,
        arch,
        installed,
        variables: packages.env,
        signal,
      }),
    );
    const { tell } = options;
    for (const message of repositories.warnings) tell({ type: "notice", level: "warning", message });
    const resolved = await runTask(options, { id: `resolve ${name}`, label: "resolve packages" }, async () =>
      resolveEnvironment(repositories.universe, [
        ...installed.map((one) => `${one.name}=${one.version}`),
        ...request.packages,
      ]),
    );
    for (const message of resolved.warnings) tell({ type: "notice", level: "warning", message });
    const added = resolved.packages.filter(({ repository }) => repository.url !== installedUrl);
    const wanted = added.map(({ record, repository }) => ({
      name: record.name,
      version: record.version,
      repositoryUrl: repository.url,
      checksum: record.checksum,
      size: record.size,
    }));
    const count = wanted.length === 1 ? "1 package" : `${wanted.length} packages`;
    const files = await runTask(options, { id: `fetch ${name}`, label: `fetch ${count}` }, (onProgress) =>
      repositories.fetch(wanted, onProgress),
    );
    const { environment } = await runTask(options, { id: `install ${name}`, label: `install ${count}` }, (onProgress) =>
      installPackages({
        packages: files,
        base: options.base ?? { platform: options.platform, config: { Env: [path] }, layers: [] },
        world: resolved.locked,
        repositories: request.repositories,
        keys: repositories.keys,
        arch,
        sourceDateEpoch: options.sourceDateEpoch,
        cacheDirectory: options.layersDirectory,
        signal,
        onProgress: ({ done, total }) => onProgress(done, total),
      }),
    );
    const list = resolved.packages.map(({ record, repository }) => ({
      name: record.name,
      version: record.version,
      ...(record.origin === "" ? {} : { origin: record.origin }),
      checksum: record.checksum,
      ...(repository.url === installedUrl ? {} : { repository: withoutSecrets(repository.url) }),
    }));
    return { environment, packages: list };
  } catch (error) {
    if (signal.aborted)
      throw new MelangeError("interrupted", "interrupted while the environment was made", { hint: "Start it again." });
    if (!isApkError(error)) throw error;
    throw new MelangeError("environment", error.message, { hint: error.hint, cause: error });
  }
}

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin";

/** An address without credentials. */
function withoutSecrets(url: string): string {
  if (!URL.canParse(url)) return url;
  const bare = new URL(url);
  bare.username = "";
  bare.password = "";
  bare.search = "";
  return bare.href;
}
