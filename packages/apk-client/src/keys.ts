import { createPublicKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { ApkError, type PublicKey, printable, publicKey } from "@melange2/apk";
import type { HttpClient } from "./http.ts";
import { shownUrl } from "./repository-line.ts";

const largestKey = 64 << 10;

/**
 * The keys of a keyring: files, relative to `directory`, and addresses of http and https. A key is called by the last part of its path, as signatures call
 * it. Rejects with `key` or `unavailable`.
 */
export async function readKeyring(
  keyring: readonly string[],
  { directory, http, offline }: { readonly directory: string; readonly http: HttpClient; readonly offline: boolean },
): Promise<readonly PublicKey[]> {
  return Promise.all(
    keyring.map(async (entry) => {
      if (!/^https?:\/\//i.test(entry)) return publicKey(basename(entry), await keyFile(resolve(directory, entry)));
      const url = keyUrl(entry);
      if (offline)
        throw new ApkError("unavailable", `the key ${shownUrl(url)} is not fetched with --offline`, {
          hint: "Save the key in a file, and name the file in the keyring.",
        });
      const pem = await fetchText(url, http);
      if (pem === undefined)
        throw new ApkError("unavailable", `there is no key at ${shownUrl(url)}`, {
          hint: "Check the keyring's addresses.",
        });
      return publicKey(basename(url.pathname), pem);
    }),
  );
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
 * are the repository's own. Undefined: the repository publishes none.
 */
export async function discoverKeys(repository: URL, http: HttpClient): Promise<readonly PublicKey[]> {
  const isSafe = (url: URL) => url.protocol === "https:" || /^(?:localhost|127\..*|\[::1\])$/.test(url.hostname);
  if (!isSafe(repository)) return [];
  try {
    const configuration = JSON.parse((await fetchText(below(repository, "apk-configuration"), http)) ?? "{}") as {
      readonly jwks_uri?: unknown;
    };
    if (typeof configuration.jwks_uri !== "string") return [];
    const address = new URL(configuration.jwks_uri, repository);
    if (!isSafe(address)) return [];
    const set = JSON.parse((await fetchText(address, http)) ?? "{}") as { readonly keys?: unknown };
    return (Array.isArray(set.keys) ? set.keys : []).flatMap(keyOf);
  } catch (error) {
    // A repository without such keys is the usual one, whatever it answers.
    if (error instanceof ApkError || error instanceof SyntaxError || error instanceof TypeError) return [];
    throw error;
  }
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
