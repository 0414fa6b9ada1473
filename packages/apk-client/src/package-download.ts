import { createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { ApkError, isApkError, openPackageFile, type PackageSource, verifyPackageData } from "@melange2/apk";
import { findOrphans, ownedName } from "@melange2/oci";
import { type HttpClient, Transient } from "./http.ts";

/** The file of a package, as an index describes it. */
export interface ExpectedFile {
  /** SHA-1 of its control member, lowercase hex. */
  readonly checksum: string;
  /** Bytes; 0 where the index does not say. */
  readonly size: number;
}

export interface DownloadOptions {
  /** Where the file goes. */
  readonly path: string;
  /** How to call it in errors. */
  readonly what: string;
  readonly http: HttpClient;
  readonly signal: AbortSignal;
  onBytes(done: number): void;
}

/** Bytes: as apko bounds it. */
const largestPackage = 2 ** 31;

/**
 * Downloads a package into a file of this process's own, which gets its name once it is verified. What came of a download that broke off is left
 * as `PATH.part`, and the next one goes on behind it. Rejects with `unavailable` or `package`.
 */
export async function download(url: URL, expected: ExpectedFile, options: DownloadOptions): Promise<void> {
  const { path, what, signal } = options;
  const rest = `${path}.part`;
  const own = join(dirname(path), ownedName(basename(rest)));
  await takeOver(rest, own);
  for (;;) {
    const resumed = (await sizeOf(own)) > 0;
    try {
      await receive(own, url, expected, options);
      await verifyFile({ path: own, what, checksum: expected.checksum }, signal);
      return await rename(own, path);
    } catch (error) {
      if (!isApkError(error) || error.code !== "package") {
        await rename(own, rest).catch(() => {});
        throw error;
      }
      await rm(own, { force: true });
      // What was left of an earlier download may be of another file.
      if (!resumed) throw error;
    }
  }
}

/** What a download left that broke off, or whose process was killed, becomes this process's own. */
async function takeOver(rest: string, own: string): Promise<void> {
  const folder = dirname(rest);
  const killed = await findOrphans(folder, basename(rest).replaceAll(".", "\\."));
  for (const left of [rest, ...killed.map((name) => join(folder, name))])
    if (
      await rename(left, own).then(
        () => true,
        () => false,
      )
    )
      return;
}

async function receive(
  own: string,
  url: URL,
  { size: wanted }: ExpectedFile,
  { what, http, signal, onBytes }: DownloadOptions,
): Promise<void> {
  // A server without ranges begins anew each time, and only what comes beyond that is progress.
  let furthest = 0;
  await http.retrying(async (progressed) => {
    const have = await sizeOf(own);
    if (wanted > 0 && have === wanted) return;
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
          if (size > (wanted > 0 ? wanted : largestPackage))
            throw other(what, "the file is larger than the index says");
          if (size > furthest) progressed();
          furthest = Math.max(furthest, size);
          onBytes(furthest);
          yield chunk;
        }
      },
      createWriteStream(own, { flags: goesOn ? "a" : "w", mode: 0o600 }),
      { signal },
    );
    if (size < wanted) throw tooShort(what, size, wanted, answer.headers["content-length"] !== undefined);
  });
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

/** A server that announced the length has sent all of another file; one that did not may have broken off. */
function tooShort(what: string, size: number, wanted: number, isWhole: boolean): Error {
  if (isWhole) return other(what, `the file has ${size} bytes, and the index says ${wanted}`);
  const hint = "Try again later: the repository, or a proxy before it, breaks off.";
  return new Transient(new ApkError("unavailable", `${what} ended after ${size} of ${wanted} bytes`, { hint }));
}

/** The repository does not have a file that its index names. `status`: what it answered; undefined where it is a folder. */
export function gone(what: string, status: number | undefined): ApkError {
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
