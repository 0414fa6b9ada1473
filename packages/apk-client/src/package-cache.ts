import { createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { ApkError, isApkError, openPackageFile, type PackageSource, printable, verifyPackageData } from "@melange2/apk";
import { onceAmongProcesses } from "./claim.ts";
import type { HttpClient } from "./http.ts";
import { below } from "./keys.ts";
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
/** Bytes: as apko bounds it. */
const largestPackage = 2 ** 31;

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
  const worker = async (): Promise<void> => {
    for (let index = next++; index < packages.length && !abort.signal.aborted; index = next++) {
      const one = packages[index] as PackageToFetch;
      found[index] = await fetchPackage(one, { ...options, signal, onBytes: (bytes) => tell(index, bytes) });
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
  }: Omit<FetchOptions, "onBytes"> & { onBytes(done: number): void },
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
    return { path, what, checksum: one.checksum };
  }
  if (one.checksum === "")
    throw new ApkError("index", `${repository.shown} gives no checksum for ${label}`, {
      hint: "Ask whoever publishes the repository to index it anew.",
    });
  const folder = join(directory, "packages");
  const path = join(folder, `${one.checksum}.apk`);
  const fetched = { path, what, checksum: one.checksum };
  // Noting the use keeps the budget of the cache from taking it.
  const isThere = await utimes(path, new Date(), new Date()).then(
    () => true,
    () => false,
  );
  if (isThere) return fetched;
  if (offline)
    throw new ApkError("unavailable", `${what} is not in the cache, and --offline fetches nothing`, {
      hint: "Build once without --offline.",
    });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const url = below(new URL(one.repositoryUrl), encodeURIComponent(file).replaceAll("%2B", "+"));
  await onceAmongProcesses(path, () => download(url, one, { path, what, http, signal, onBytes }), signal);
  return fetched;
}

/** Into a file beside, which goes on where an earlier try ended; under its name once it is verified. */
async function download(
  url: URL,
  one: PackageToFetch,
  options: {
    readonly path: string;
    readonly what: string;
    readonly http: HttpClient;
    readonly signal: AbortSignal;
    onBytes(done: number): void;
  },
): Promise<void> {
  const { path, what, http, signal, onBytes } = options;
  const part = `${path}.part`;
  for (let fromTheBeginning = false; ; fromTheBeginning = true) {
    if (fromTheBeginning) await rm(part, { force: true });
    const resumed = (await sizeOf(part)) > 0;
    try {
      await http.retrying(async (progressed) => {
        const have = await sizeOf(part);
        if (one.size > 0 && have === one.size) return;
        const answer = await http.get(url, have > 0 ? { range: `bytes=${have}-` } : {});
        if (answer.status === 416) {
          answer.discard();
          throw other(what, "the file is smaller than it was");
        }
        if (answer.status !== 200 && answer.status !== 206) {
          answer.discard();
          throw gone(what, answer.status);
        }
        const goesOn = answer.status === 206 && isFrom(answer.headers["content-range"], have);
        let size = goesOn ? have : 0;
        await pipeline(
          answer.body,
          async function* (body: AsyncIterable<Uint8Array>) {
            for await (const chunk of body) {
              size += chunk.length;
              if (size > (one.size > 0 ? one.size : largestPackage))
                throw other(what, "the file is larger than the index says");
              progressed();
              onBytes(size);
              yield chunk;
            }
          },
          createWriteStream(part, { flags: goesOn ? "a" : "w", mode: 0o600 }),
          { signal },
        );
        if (one.size > 0 && size < one.size)
          throw other(what, `the file has ${size} bytes, and the index says ${one.size}`);
      });
      await verifyFile({ path: part, what, checksum: one.checksum }, signal);
      await rename(part, path);
      return;
    } catch (error) {
      // What came whole so far is good for the next try, unless it was judged.
      if (!(error instanceof ApkError) || error.code !== "package") throw error;
      await rm(part, { force: true });
      // What was left of an earlier try may be of another file.
      if (resumed && !fromTheBeginning) continue;
      throw error;
    }
  }
}

async function verifyFile(source: PackageSource, signal: AbortSignal): Promise<void> {
  try {
    await verifyPackageData(await openPackageFile(source), signal);
  } catch (error) {
    throw isApkError(error) ? other(source.what, error.message, error) : error;
  }
}

function isFrom(range: string | string[] | undefined, start: number): boolean {
  return typeof range === "string" && range.startsWith(`bytes ${start}-`);
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
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

function gone(what: string, status: number | undefined): ApkError {
  const answer = status === undefined ? "there is no such file" : `the repository answers ${status}`;
  return new ApkError("unavailable", `${what} cannot be fetched: ${answer}, though the index names it`, {
    hint:
      status === 401 || status === 403
        ? "Give credentials by HTTP_AUTH=basic:HOST:USER:PASSWORD."
        : "The repository has changed, or is half changed: build again in a while.",
  });
}

function other(what: string, why: string, cause?: unknown): ApkError {
  return new ApkError("package", `${what} is not the file that the index names: ${why}`, {
    hint: "The repository has changed since its index was read, or the file was damaged on the way: build again.",
    cause,
  });
}
