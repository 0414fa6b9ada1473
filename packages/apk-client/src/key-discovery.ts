import { createPublicKey } from "node:crypto";
import { basename } from "node:path";
import { ApkError, type PublicKey, publicKey } from "@melange2/apk";
import type { HttpClient } from "./http.ts";
import { below, fetchText, type KeyOptions, keptKeys } from "./keys.ts";

const largestList = 4 << 20;

export interface DiscoveryOptions extends KeyOptions {
  readonly arch: string;
  /** Address of Alpine's list of its releases and their keys. */
  readonly alpineReleases?: string | undefined;
}

/**
 * The keys that are published for a repository: those of a release of Alpine by Alpine's list, and the repository's own, which `apk-configuration` names.
 * They are taken over https only, or from this machine. Empty: there are none.
 */
export async function discoverKeys(repository: URL, options: DiscoveryOptions): Promise<readonly PublicKey[]> {
  const { arch, http, alpineReleases = "https://alpinelinux.org/releases.json" } = options;
  const found: PublicKey[] = [];
  const [, branch] = /\/alpine\/([^/]+)\/[^/]+$/.exec(repository.pathname) ?? [];
  if (branch !== undefined) {
    const list = new URL(alpineReleases);
    const address = new URL(`#${branch}/${arch}`, list);
    found.push(...(await orNone(() => keptKeys(address, options, () => alpineKeys(list, { branch, arch, http })))));
  }
  if (isSafe(repository)) {
    const address = below(repository, "apk-configuration");
    found.push(...(await orNone(() => keptKeys(address, options, () => publishedKeys(address, http)))));
  }
  return found;
}

/** A repository for which no keys are published is the usual one, whatever it answers. */
async function orNone(find: () => Promise<readonly PublicKey[]>): Promise<readonly PublicKey[]> {
  try {
    return await find();
  } catch (error) {
    if (error instanceof ApkError || error instanceof SyntaxError || error instanceof TypeError) return [];
    throw error;
  }
}

interface AlpineReleases {
  readonly latest_stable?: string;
  readonly release_branches?: readonly {
    readonly rel_branch?: string;
    /** By architecture. */
    readonly keys?: Readonly<
      Record<string, readonly { readonly url: string; readonly deprecated_since?: string | null }[]>
    >;
  }[];
}

/** The keys of a branch that Alpine still signs with. */
async function alpineKeys(
  list: URL,
  { branch, arch, http }: { readonly branch: string; readonly arch: string; readonly http: HttpClient },
): Promise<readonly PublicKey[]> {
  const releases = JSON.parse((await fetchText(list, http, largestList)) ?? "{}") as AlpineReleases;
  const name = branch === "latest-stable" ? releases.latest_stable : branch;
  const keys = releases.release_branches?.find(({ rel_branch }) => rel_branch === name)?.keys?.[arch] ?? [];
  const isValid = (since: string | null | undefined) => !since || Date.parse(since) > Date.now();
  const urls = keys.filter(({ deprecated_since }) => isValid(deprecated_since)).map(({ url }) => new URL(url, list));
  const texts = await Promise.all(
    urls.filter(isSafe).map(async (url) => ({ name: basename(url.pathname), pem: await fetchText(url, http) })),
  );
  return texts.flatMap(({ name, pem }) => (pem === undefined ? [] : [publicKey(name, pem)]));
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
