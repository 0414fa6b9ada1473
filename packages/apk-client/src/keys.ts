import { createHash, createPublicKey } from "node:crypto";
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
async function keptKeys(
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

/**
 * The keys that a repository publishes about itself: `apk-configuration` names a set of JSON web keys. Only over https, or from this machine, where they
 * are the repository's own. Empty: the repository publishes none.
 */
export async function discoverKeys(repository: URL, options: KeyOptions): Promise<readonly PublicKey[]> {
  if (!isSafe(repository)) return [];
  const address = below(repository, "apk-configuration");
  try {
    return await keptKeys(address, options, () => publishedKeys(address, options.http));
  } catch (error) {
    // A repository without such keys is the usual one, whatever it answers.
    if (error instanceof ApkError || error instanceof SyntaxError || error instanceof TypeError) return [];
    throw error;
  }
}

async function publishedKeys(configuration: URL, http: HttpClient): Promise<readonly PublicKey[]> {
  const { jwks_uri } = JSON.parse((await fetchText(configuration, http)) ?? "{}") as { readonly jwks_uri?: unknown };
  if (typeof jwks_uri !== "string") return [];
  const address = new URL(jwks_uri, configuration);
  if (!isSafe(address)) return [];
  const { keys } = JSON.parse((await fetchText(address, http)) ?? "{}") as { readonly keys?: unknown };
  return Array.isArray(keys) ? keys.flatMap(keyOf) : [];
}

function isSafe({ protocol, hostname }: URL): boolean {
  return protocol === "https:" || /^(?:localhost|127\..*|\[::1\])$/.test(hostname);
}

function keyOf(jwk: { readonly kid?: unknown; readonly kty?: unknown }): PublicKey[] {
  if (jwk?.kty !== "RSA" || typeof jwk.kid !== "string" || !/^[A-Za-z0-9._@-]+$/.test(jwk.kid)) return [];
  try {
    const pem = createPublicKey({ key: jwk as never, format: "jwk" }).export({ type: "spki", format: "pem" });
    return [publicKey(`${jwk.kid}.rsa.pub`, String(pem))];
  } catch {
    return [];
  }
}

/** An address below another one, whose query goes along. */
export function below(url: URL, path: string): URL {
  const result = new URL(url);
  result.pathname = `${url.pathname.replace(/\/+$/, "")}/${path}`;
  return result;
}

async function fetchText(url: URL, http: HttpClient): Promise<string | undefined> {
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
      if (size > largestKey)
        throw new ApkError("key", `${shownUrl(url)} is too large for a key`, { hint: "Check the address." });
      pieces.push(piece);
    }
    return Buffer.concat(pieces).toString("utf8");
  });
}
