import { existsSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { LockFile } from "@melange2/apk-client";
import { type Environment, MelangeError, type Platform, runTask, type TaskTeller, type Tell } from "@melange2/core";
import {
  apkDatabase,
  composedLayers,
  composeEnvironment,
  type MissingPackages,
  type OnProgress,
} from "@melange2/environment";
import type { EnvironmentRequest } from "@melange2/recipe";
import type { KeptEnvironment } from "@melange2/records";
import type { BuildHost } from "../host.ts";
import { type CompiledBuild, sourceDateEpochOf } from "../recipe/compile-build.ts";
import { baseEnvironment } from "./base-environment.ts";
import { tellLeftOut } from "./left-out.ts";
import { type OwnFiles, ownFiles } from "./own-files.ts";
import {
  type EnvironmentPackage,
  type PackageOptions,
  packagesEnvironment,
  repositoriesOf,
} from "./packages-environment.ts";

export interface ComposeBuildOptions {
  readonly compiled: CompiledBuild;
  /** A root filesystem: a path, or an image in a registry. Undefined: packages are all there is. */
  readonly base?: string | undefined;
  readonly packages?: PackageOptions;
  /** Files that are copied into the workspace. Default: the folder beside the recipe that is named like the package, else the recipe's. */
  readonly sourceDirectory?: string | undefined;
  /** What kept builds stand on: it is not dropped from the folder of bases. */
  readonly keptLayers?: KeptEnvironment["diffIds"];
  /** What the source directory may hold without its being source. */
  readonly own: Omit<OwnFiles, "architectures">;
  readonly tell: Tell;
  readonly signal: AbortSignal;
}

export interface ComposedBuild {
  readonly environments: Readonly<Record<string, Environment>>;
  /** By environment, the packages that were installed in it. */
  readonly packages: Readonly<Record<string, readonly EnvironmentPackage[]>>;
  /** As {@link KeptEnvironment} has it. */
  readonly base: string;
}

/** Everything that steps start from: each environment is a base, or packages, or packages on a base, with accounts and workspace above it. */
export async function composeBuild(options: ComposeBuildOptions, host: BuildHost): Promise<ComposedBuild> {
  const { compiled, tell, signal } = options;
  const { plan, requests } = compiled;
  const teller = { tell, now: () => new Date() };
  const { name, arch } = plan.subject;
  const sourceDateEpoch = sourceDateEpochOf(host.env);
  const cacheDirectory = host.places.bases;
  for (const key of plan.environments) refuseNothing(options.base, requestOf(requests, key));
  const starts = await environmentStarts(options, host, arch);
  const leaveOut = await ownFiles({
    ...options.own,
    architectures: [...new Set([arch, ...Object.keys(ociArchitectures)])],
  });
  // Looking layers up marks them as recently used, so that the budget of bases spares them.
  await composedLayers(options.keptLayers ?? [], { cacheDirectory });
  const environments: Record<string, Environment> = {};
  const packages: Record<string, readonly EnvironmentPackage[]> = {};
  for (const key of plan.environments) {
    const request = requestOf(requests, key);
    const start = await starts(key, request);
    if (start.packages) packages[key] = start.packages;
    const composed = await task(teller, `compose ${key}`, "compose environment", (onProgress) =>
      composeEnvironment({
        base: start.environment,
        request,
        workspace: {
          path: plan.workspace,
          sourceDirectory: sourceDirectoryOf(compiled.recipe, name, options.sourceDirectory),
          leaveOut: options.base === undefined ? leaveOut : [...leaveOut, resolve(options.base)],
        },
        sourceDateEpoch,
        cacheDirectory,
        signal,
        onProgress,
      }),
    );
    environments[key] = composed.environment;
    tellMissing(composed.missingPackages, tell);
    // The same for each environment.
    if (key === plan.environments[0])
      tellLeftOut(composed.leftOut, { what: "not copied from the source folder", hint: regularFilesOnly, tell });
  }
  return { environments, packages, base: keptBase(options.base) };
}

export interface EnvironmentStart {
  readonly environment: Environment;
  /** Where packages were installed. */
  readonly packages?: readonly EnvironmentPackage[];
  readonly lock?: LockFile;
}

/**
 * What environments are before accounts and workspace: the base, with the packages that the recipe asks for and the base lacks, where its own database
 * says what it has; or packages alone.
 */
export async function environmentStarts(
  { base: given, packages = {}, tell, signal }: Pick<ComposeBuildOptions, "base" | "packages" | "tell" | "signal">,
  host: BuildHost,
  arch: string,
): Promise<(name: string, request: EnvironmentRequest) => Promise<EnvironmentStart>> {
  const teller = { tell, now: () => new Date() };
  const platform = platformOf(arch);
  const basesDirectory = host.places.bases;
  const base =
    given === undefined
      ? undefined
      : await task(teller, "open base", "open base", (onProgress) =>
          baseEnvironment(given, { platform, basesDirectory, env: host.env, signal, onProgress }),
        );
  const installed = base && (await apkDatabase(base, { cacheDirectory: basesDirectory, signal }));
  return async (name, request) => {
    const lacksNothing = installed === undefined || installed.missing(request.packages).length === 0;
    if (base !== undefined && (lacksNothing || repositoriesOf(request).length === 0)) return { environment: base };
    return packagesEnvironment({
      ...teller,
      name,
      request,
      base,
      installed: installed?.text,
      platform,
      arch,
      packages,
      host,
      layersDirectory: basesDirectory,
      sourceDateEpoch: sourceDateEpochOf(host.env),
      signal,
    });
  };
}

/** Throws `usage` where neither a base nor repositories are named: there is nothing to build in. */
export function refuseNothing(base: string | undefined, request: EnvironmentRequest): void {
  if (base !== undefined || repositoriesOf(request).length > 0) return;
  throw new MelangeError("usage", "no base to build in: --base is missing, and no package repositories are named", {
    hint: "Give a root filesystem by --base PATH, or repositories: environment.contents.repositories and .keyring in the recipe, or --repository-append ADDRESS --keyring-append KEY.",
  });
}

function keptBase(base = ""): string {
  return existsSync(base) ? resolve(base) : base;
}

/** melange's own defaults, from the specific to the general: the folder named like the package beside the recipe, else the recipe's. */
function sourceDirectoryOf(recipe: string, name: string, given: string | undefined): string {
  const beside = resolve(dirname(recipe), name);
  const isFolder = statSync(beside, { throwIfNoEntry: false })?.isDirectory() ?? false;
  return resolve(given ?? (isFolder ? beside : dirname(recipe)));
}

const ociArchitectures: Readonly<Record<string, Platform>> = {
  x86_64: { os: "linux", architecture: "amd64" },
  aarch64: { os: "linux", architecture: "arm64" },
  x86: { os: "linux", architecture: "386" },
  armhf: { os: "linux", architecture: "arm", variant: "v6" },
  armv7: { os: "linux", architecture: "arm", variant: "v7" },
  loongarch64: { os: "linux", architecture: "loong64" },
};

export function platformOf(arch: string): Platform {
  return ociArchitectures[arch] ?? { os: "linux", architecture: arch };
}

const regularFilesOnly =
  "Steps get regular files only, as with melange: make a link in a step, or put a file in its place.";

function tellMissing(missing: MissingPackages, tell: Tell): void {
  if (missing.atoms.length === 0) return;
  const message = `the base lacks packages that the recipe asks for: ${missing.atoms.join(", ")}`;
  tell({ type: "notice", level: "warning", message, hint: missing.note });
}

/** Shows work that may take more than a second as a task. */
function task<T>(
  teller: TaskTeller,
  id: string,
  label: string,
  work: (onProgress: OnProgress) => Promise<T>,
): Promise<T> {
  return runTask(teller, { id, label }, (onProgress) => work(({ done, total }) => onProgress(done, total)));
}

function requestOf<T>(requests: Readonly<Record<string, T>>, name: string): T {
  const request = requests[name];
  if (request === undefined) throw new TypeError(`the recipe asks nothing of the plan's environment "${name}"`);
  return request;
}
