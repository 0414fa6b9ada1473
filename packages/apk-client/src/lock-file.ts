import { createHash } from "node:crypto";
import { ApkError, type PublicKey, publicKey } from "@melange2/apk";
import type { PackageToFetch } from "./package-cache.ts";

/**
 * The packages of an environment, each by its checksum, in the order of installation. The form is that of apko's lock files: fields that apko has and that
 * are not here are not needed to install exactly these packages.
 */
export interface LockFile {
  readonly version: "v1";
  /** `checksum` is of what was asked for: packages and repositories. */
  readonly config: { readonly name: string; readonly checksum: string };
  readonly contents: {
    readonly keyring: readonly { readonly name: string; readonly content: string }[];
    readonly repositories: readonly { readonly url: string; readonly architecture: string }[];
    readonly packages: readonly LockedPackage[];
  };
}

export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Of the package's file. */
  readonly url: string;
  /** `Q1` and base64 of the SHA-1 of its control member. */
  readonly checksum: string;
  /** Bytes of its file. */
  readonly size: number;
  readonly origin?: string;
}

/** What a lock file was made for. */
export interface LockedRequest {
  readonly name: string;
  readonly arch: string;
  readonly packages: readonly string[];
  readonly repositories: readonly string[];
}

export function requestChecksum({ arch, packages, repositories }: LockedRequest): string {
  const text = JSON.stringify([arch, [...packages].sort(), [...repositories].sort()]);
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

/** `repositoryUrl`: address of the repository's folder for the architecture, without credentials. */
export function lockFile(
  request: LockedRequest,
  packages: readonly (PackageToFetch & { readonly origin: string })[],
  keys: readonly PublicKey[],
): LockFile {
  const urls = [...new Set(packages.map(({ repositoryUrl }) => repositoryUrl))];
  return {
    version: "v1",
    config: { name: request.name, checksum: requestChecksum(request) },
    contents: {
      keyring: keys.map(({ name, pem }) => ({ name, content: pem })),
      repositories: urls.map((url) => ({ url, architecture: request.arch })),
      packages: packages.map(({ name, version, repositoryUrl, checksum, size, origin }) => ({
        name,
        version,
        architecture: request.arch,
        url: `${repositoryUrl}/${name}-${version}.apk`,
        checksum: `Q1${Buffer.from(checksum, "hex").toString("base64")}`,
        size,
        ...(origin === "" ? {} : { origin }),
      })),
    },
  };
}

/** Reads a lock file's text. Throws `repository` for what is none, or was made for something else than `request`. `file` names it in errors. */
export function parseLockFile(text: string, file: string, request: LockedRequest): LockFile {
  const again = "Write it again: melange2 environment RECIPE --lock-file FILE.";
  const refused = (why: string, cause?: unknown) =>
    new ApkError("repository", `the lock file ${file} cannot be used: ${why}`, { hint: again, cause });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw refused("it is no JSON", error);
  }
  if (!isLockFile(json)) throw refused("it is no lock file of version v1");
  for (const { name, content } of json.contents.keyring) publicKey(name, content);
  if (json.config.checksum !== requestChecksum(request))
    throw refused("it was made for other packages, repositories or another architecture");
  return json;
}

function isLockFile(json: unknown): json is LockFile {
  const { version, config, contents } = (json ?? {}) as Partial<LockFile>;
  const texts = (each: object | null, ...keys: readonly string[]) =>
    typeof each === "object" &&
    each !== null &&
    keys.every((key) => typeof (each as Record<string, unknown>)[key] === "string");
  return (
    version === "v1" &&
    texts(config ?? null, "name", "checksum") &&
    Array.isArray(contents?.keyring) &&
    contents.keyring.every((key) => texts(key, "name", "content")) &&
    Array.isArray(contents.repositories) &&
    Array.isArray(contents.packages) &&
    contents.packages.every(
      (one) =>
        texts(one, "name", "version", "architecture", "url", "checksum") &&
        /^Q1[A-Za-z0-9+/]{27}=$/.test(one.checksum) &&
        Number.isSafeInteger(one.size) &&
        one.url.endsWith(`/${one.name}-${one.version}.apk`),
    )
  );
}

/** The packages of a lock file, as they are fetched. */
export function lockedPackages({ contents }: LockFile): readonly (PackageToFetch & { readonly origin: string })[] {
  return contents.packages.map(({ name, version, url, checksum, size, origin = "" }) => ({
    name,
    version,
    repositoryUrl: url.slice(0, -`/${name}-${version}.apk`.length),
    checksum: Buffer.from(checksum.slice(2), "base64").toString("hex"),
    size,
    origin,
  }));
}
