import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ApkError, printable } from "@melange2/apk";
import { bytesOf, writeFileAtomically } from "@melange2/oci";
import { type HttpClient, Transient } from "./http.ts";
import { below } from "./keys.ts";
import type { Repository } from "./repository-line.ts";

/** An index file as it was fetched. */
export interface FetchedIndex {
  readonly bytes: Uint8Array;
  /** How to call it in errors. */
  readonly what: string;
  /** Keeps it for builds without a network; called once it was found good. */
  keep(newest: number): Promise<void>;
  /** Seconds since 1970: when the newest package was built of the index that was kept before; 0 where there is none. */
  readonly newestBefore: number;
  /** Where what is known of the kept index lies. */
  readonly notePath: string;
}

/** What is known of a kept index. */
interface Note {
  /** Of the kept file: two processes may each write one of the two files last. */
  readonly sha256: string;
  readonly etag?: string | undefined;
  readonly modified?: string | undefined;
  readonly newest: number;
}

export interface IndexCacheOptions {
  readonly http: HttpClient;
  /** Folder of the cache. */
  readonly directory: string;
  readonly offline: boolean;
}

const largestIndexFile = 128 << 20;

/**
 * A repository's index for an architecture: from its folder, or over the network, where an index that has not changed since (`ETag`, `Last-Modified`) is
 * taken from the cache. Undefined: a folder has none. Rejects with `unavailable`.
 */
export async function fetchIndex(
  repository: Repository,
  arch: string,
  { http, directory, offline }: IndexCacheOptions,
): Promise<FetchedIndex | undefined> {
  const { at, shown } = repository;
  const what = `the index of ${shown} for ${printable(arch)}`;
  if (at.kind === "folder") return folderIndex(join(at.path, arch, "APKINDEX.tar.gz"), what);
  const url = below(at.url, `${arch}/APKINDEX.tar.gz`);
  const key = sha256(url.href);
  const folder = join(directory, "indexes");
  const [path, notePath] = [join(folder, `${key}.tar.gz`), join(folder, `${key}.json`)];
  const note = await readNote(notePath);
  const kept = note && (await readKept(path, note));
  const result = (bytes: Uint8Array, etag?: string, modified?: string): FetchedIndex => ({
    bytes,
    what,
    newestBefore: note?.newest ?? 0,
    notePath,
    async keep(newest) {
      if (bytes === kept) return;
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFileAtomically(path, bytesOf(bytes));
      const text = JSON.stringify({ sha256: sha256(bytes), etag, modified, newest } satisfies Note);
      await writeFileAtomically(notePath, bytesOf(Buffer.from(text)));
    },
  });
  if (offline) {
    if (kept) return result(kept);
    throw new ApkError("unavailable", `${what} is not in the cache, and --offline fetches nothing`, {
      hint: "Build once without --offline.",
    });
  }
  return http.retrying(async () => {
    const answer = await http.get(url, kept ? conditions(note) : {});
    if (answer.status === 304 && kept) {
      answer.discard();
      return result(kept);
    }
    if (answer.status !== 200) {
      answer.discard();
      throw new ApkError("unavailable", `${what} cannot be fetched: ${shown} answers ${answer.status}`, {
        hint:
          answer.status === 401 || answer.status === 403
            ? "Give credentials by HTTP_AUTH=basic:HOST:USER:PASSWORD."
            : "Check the repository's address: ADDRESS/ARCHITECTURE/APKINDEX.tar.gz must be there.",
      });
    }
    const bytes = await bounded(answer.body, what);
    const length = Number(header(answer.headers["content-length"]) ?? bytes.length);
    if (length !== bytes.length)
      throw new Transient(
        new ApkError("unavailable", `${what} came with ${bytes.length} of ${length} bytes`, {
          hint: "Try again later.",
        }),
      );
    return result(bytes, header(answer.headers.etag), header(answer.headers["last-modified"]));
  });
}

async function folderIndex(path: string, what: string): Promise<FetchedIndex | undefined> {
  try {
    return { bytes: await readFile(path), what, newestBefore: 0, notePath: "", keep: async () => {} };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new ApkError("unavailable", `${printable(path)} cannot be read: ${code}`, {
      hint: "Make it readable.",
      cause,
    });
  }
}

function conditions({ etag, modified }: Note): Readonly<Record<string, string>> {
  if (etag !== undefined) return { "if-none-match": etag };
  return modified === undefined ? {} : { "if-modified-since": modified };
}

async function bounded(body: AsyncIterable<Uint8Array>, what: string): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (size > largestIndexFile)
      throw new ApkError("limit", `${what} has more than ${largestIndexFile} bytes`, {
        hint: "Nobody's index is that large.",
      });
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** Undefined: there is none, or not the one that the note is about. */
async function readKept(path: string, note: Note): Promise<Uint8Array | undefined> {
  const bytes = await readFile(path).catch(() => undefined);
  return bytes && sha256(bytes) === note.sha256 ? bytes : undefined;
}

function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function readNote(path: string): Promise<Note | undefined> {
  try {
    const { sha256, etag, modified, newest } = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
    const text = (value: unknown) => (typeof value === "string" ? value : undefined);
    return {
      sha256: text(sha256) ?? "",
      etag: text(etag),
      modified: text(modified),
      newest: typeof newest === "number" ? newest : 0,
    };
  } catch {
    return undefined;
  }
}

function header(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
