import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { ApkError, type PublicKey, printable, publicKey } from "@melange2/apk";
import { bytesOf, writeFileAtomically } from "@melange2/oci";
import type { HttpClient } from "./http.ts";
import { shownUrl } from "./repository-line.ts";

const largestKey = 64 << 10;

export interface KeyOptions {
  readonly http: HttpClient;
  /** Of the cache, where fetched keys are kept for builds without a network. */
  readonly cacheDirectory: string;
  readonly offline: boolean;
}

/**
 * The keys of a keyring: files, relative to `directory`, and addresses of http and https. A key is called by the last part of its path, as signatures call
 * it. Rejects with `key` or `unavailable`.
 */
export async function readKeyring(
  keyring: readonly string[],
  { directory, ...options }: KeyOptions & { readonly directory: string },
): Promise<readonly PublicKey[]> {
  return Promise.all(
    keyring.map(async (entry) => {
      if (!/^https?:\/\//i.test(entry)) return publicKey(basename(entry), await keyFile(resolve(directory, entry)));
      const url = keyUrl(entry);
      const name = basename(url.pathname);
      const [key] = await keptKeys(url, options, async () => {
        const pem = await fetchText(url, options.http);
        return pem === undefined ? [] : [publicKey(name, pem)];
      });
      if (key) return key;
      if (!options.offline)
        throw new ApkError("unavailable", `there is no key at ${shownUrl(url)}`, {
          hint: "Check the keyring's addresses.",
        });
      throw new ApkError("unavailable", `the key ${shownUrl(url)} is not in the cache, and --offline fetches nothing`, {
        hint: "Build once without --offline, or save the key in a file and name the file in the keyring.",
      });
    }),
  );
}

/** Keys as they are fetched, and without a network as they were fetched before. */
export async function keptKeys(
  url: URL,
  { cacheDirectory, offline }: KeyOptions,
  fetch: () => Promise<readonly PublicKey[]>,
): Promise<readonly PublicKey[]> {
  const folder = join(cacheDirectory, "keys");
  const path = join(folder, `${createHash("sha256").update(url.href).digest("hex")}.json`);
  if (offline) return storedKeys(path);
  const keys = await fetch();
  if (keys.length > 0) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFileAtomically(path, bytesOf(Buffer.from(JSON.stringify(keys))));
  }
  return keys;
}

async function storedKeys(path: string): Promise<readonly PublicKey[]> {
  try {
    const keys = JSON.parse(await readFile(path, "utf8")) as readonly PublicKey[];
    return keys.map(({ name, pem }) => publicKey(name, pem));
  } catch {
    return [];
  }
}

function keyUrl(entry: string): URL {
  if (URL.canParse(entry) && basename(new URL(entry).pathname) !== "") return new URL(entry);
  throw new ApkError("key", `the keyring's ${JSON.stringify(printable(entry))} is no address of a file`, {
    hint: "The last part of a key's address is its name: https://packages.example.com/NAME.rsa.pub.",
  });
}

async function keyFile(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : code;
    throw new ApkError("key", `the key ${printable(path)} cannot be read: ${why}`, {
      hint: "Name the file of the public key that signs the repository.",
      cause,
    });
  }
}

/** An address below another one, whose query goes along. */
export function below(url: URL, path: string): URL {
  const result = new URL(url);
  result.pathname = `${url.pathname.replace(/\/+$/, "")}/${path}`;
  return result;
}

/** Undefined: there is nothing. Rejects with `key` where it is larger than `limit` bytes. */
export async function fetchText(url: URL, http: HttpClient, limit = largestKey): Promise<string | undefined> {
  return http.retrying(async () => {
    const answer = await http.get(url);
    if (answer.status !== 200) {
      answer.discard();
      return undefined;
    }
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of answer.body) {
      size += piece.length;
      if (size > limit)
        throw new ApkError("key", `${shownUrl(url)} is too large for a key`, { hint: "Check the address." });
      pieces.push(piece);
    }
    return Buffer.concat(pieces).toString("utf8");
  });
}
