import { mkdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { ApkError, printable } from "@melange2/apk";
import { defaultBudget, keepToBudget } from "./cache-budget.ts";
import { onceAmongProcesses } from "./claim.ts";
import type { HttpClient } from "./http.ts";
import { below } from "./keys.ts";
import { download, gone } from "./package-download.ts";
import type { Repository } from "./repository-line.ts";

/** A package that an index names. */
export interface PackageToFetch {
  readonly name: string;
  readonly version: string;
  /** Address of its repository's folder for the architecture: `RepositoryIndex.url`. */
  readonly repositoryUrl: string;
  /** SHA-1 of its control member, lowercase hex; empty where the index has none. */
  readonly checksum: string;
  /** Bytes of the file, as the index says; 0 where it does not. */
  readonly size: number;
}

export interface FetchedPackage {
  /** Where the file is. */
  readonly path: string;
  /** How to call it in errors. */
  readonly what: string;
  readonly checksum: string;
  /** Bytes; 0 where the index does not say. */
  readonly size: number;
}

export interface FetchOptions {
  /** Repositories by the address of their folder. */
  readonly places: ReadonlyMap<string, Repository>;
  readonly http: HttpClient;
  readonly directory: string;
  readonly offline: boolean;
  readonly signal: AbortSignal;
  readonly onBytes: (done: number, total: number) => void;
}

const atOnce = 6;
const packagesFolder = "packages";

export async function fetchPackages(
  packages: readonly PackageToFetch[],
  options: FetchOptions,
): Promise<readonly FetchedPackage[]> {
  const total = packages.reduce((sum, { size }) => sum + size, 0);
  const done = packages.map(() => 0);
  const tell = (index: number, bytes: number) => {
    done[index] = bytes;
    options.onBytes(
      done.reduce((sum, each) => sum + each, 0),
      Math.max(total, 1),
    );
  };
  const found: FetchedPackage[] = [];
  const abort = new AbortController();
  const signal = AbortSignal.any([options.signal, abort.signal]);
  let next = 0;
  let hasGrown = false;
  const onDownload = () => {
    hasGrown = true;
  };
  const worker = async (): Promise<void> => {
    for (let index = next++; index < packages.length && !abort.signal.aborted; index = next++) {
      const one = packages[index] as PackageToFetch;
      found[index] = await fetchPackage(one, {
        ...options,
        signal,
        onDownload,
        onBytes: (bytes) => tell(index, bytes),
      });
      tell(index, one.size);
    }
  };
  // The first failure ends the others, and nothing is under way any more when it is told.
  const workers = Array.from({ length: atOnce }, () =>
    worker().catch((error: unknown) => {
      abort.abort(error);
      throw error;
    }),
  );
  await Promise.allSettled(workers);
  if (hasGrown) await keepToBudget(join(options.directory, packagesFolder), defaultBudget);
  if (abort.signal.aborted) throw abort.signal.reason;
  return found;
}

async function fetchPackage(
  one: PackageToFetch,
  {
    places,
    http,
    directory,
    offline,
    signal,
    onBytes,
    onDownload,
  }: Omit<FetchOptions, "onBytes"> & { onBytes(done: number): void; onDownload(): void },
): Promise<FetchedPackage> {
  const repository = places.get(one.repositoryUrl);
  if (!repository) throw new TypeError(`${one.repositoryUrl} is no repository that was opened`);
  const label = printable(`${one.name}-${one.version}`);
  const what = `${label} of ${repository.shown}`;
  const { at } = repository;
  const file = `${one.name}-${one.version}.apk`;
  if (/[/\0]/.test(file) || file.startsWith("."))
    throw new ApkError(
      "index",
      `${repository.shown} names a package ${JSON.stringify(label)}, which is no file's name`,
      {
        hint: "Ask whoever publishes the repository.",
      },
    );
  if (at.kind === "folder") {
    const path = join(one.repositoryUrl, file);
    await refuseMissing(path, what);
    return { path, what, checksum: one.checksum, size: one.size };
  }
  if (one.checksum === "")
    throw new ApkError("index", `${repository.shown} gives no checksum for ${label}`, {
      hint: "Ask whoever publishes the repository to index it anew.",
    });
  const folder = join(directory, packagesFolder);
  const path = join(folder, `${one.checksum}.apk`);
  const fetched = { path, what: `${what}, in ${printable(path)}`, checksum: one.checksum, size: one.size };
  if (await isCached(path, one.size)) return fetched;
  if (offline)
    throw new ApkError("unavailable", `${what} is not in the cache, and --offline fetches nothing`, {
      hint: "Build once without --offline.",
    });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const url = below(new URL(one.repositoryUrl), encodeURIComponent(file).replaceAll("%2B", "+"));
  onDownload();
  await onceAmongProcesses(path, () => download(url, one, { path, what, http, signal, onBytes }), signal);
  return fetched;
}

/** Notes the use, so that the budget of the cache spares the file. A file of another size was damaged since it was verified, and goes. */
async function isCached(path: string, size: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return false;
  if (size > 0 && found.size !== size) {
    await rm(path, { force: true });
    return false;
  }
  await utimes(path, new Date(), new Date()).catch(() => {});
  return true;
}

async function refuseMissing(path: string, what: string): Promise<void> {
  if (
    await stat(path).then(
      (found) => found.isFile(),
      () => false,
    )
  )
    return;
  throw gone(what, undefined);
}
