import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createCredentialHelper } from "./credential-helper.ts";
import type { Credentials } from "./credentials.ts";
import { RegistryError } from "./error.ts";
import type { Reference } from "./reference.ts";

export interface DockerConfigOptions {
  /** The user's environment: DOCKER_CONFIG, REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, XDG_CONFIG_HOME, HOME; also the credential helpers' own. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** The parts of config.json, or podman's auth.json, that say who somebody is. */
interface AuthFile {
  readonly path: string;
  readonly auths: Readonly<Record<string, unknown>>;
  readonly credHelpers: Readonly<Record<string, unknown>>;
  readonly credsStore: string | undefined;
}

const hubKey = "https://index.docker.io/v1/";

/**
 * Credentials for one repository, as `docker login` and `podman login` left them; undefined: none. REGISTRY_AUTH_FILE is the only file
 * read where it is set; otherwise docker's config.json and then podman's auth.json files, the first that knows the registry.
 * Rejects with {@link RegistryError} `credentials` when a file or a helper cannot be used; never with a secret in the message.
 */
export async function findCredentials(
  { registry, repository }: Pick<Reference, "registry" | "repository">,
  options: DockerConfigOptions,
): Promise<Credentials | undefined> {
  for (const { path, required } of authFiles(options.env)) {
    const file = await readAuthFile(path, required);
    const found = file && (await lookUp(file, registry, repository, options));
    if (found !== undefined) return found;
  }
  return undefined;
}

function authFiles(env: DockerConfigOptions["env"]): readonly { readonly path: string; readonly required: boolean }[] {
  if (env.REGISTRY_AUTH_FILE) return [{ path: env.REGISTRY_AUTH_FILE, required: true }];
  const under = (base: string | undefined, ...rest: string[]) => (base ? [join(base, ...rest)] : []);
  return [
    ...(env.DOCKER_CONFIG ? under(env.DOCKER_CONFIG, "config.json") : under(env.HOME, ".docker", "config.json")),
    ...under(env.XDG_RUNTIME_DIR, "containers", "auth.json"),
    ...(env.XDG_CONFIG_HOME
      ? under(env.XDG_CONFIG_HOME, "containers", "auth.json")
      : under(env.HOME, ".config", "containers", "auth.json")),
  ].map((path) => ({ path, required: false }));
}

async function readAuthFile(path: string, required: boolean): Promise<AuthFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as { code?: string };
    if (!required && (code === "ENOENT" || code === "ENOTDIR")) return undefined;
    throw unusable(path, `cannot be read (${code})`, error);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, which holds passwords.
    throw unusable(path, "is not valid JSON");
  }
  if (!isObject(json)) throw unusable(path, "is not a JSON object");
  for (const key of ["auths", "credHelpers"]) {
    if (json[key] !== undefined && !isObject(json[key])) throw unusable(path, `has "${key}" that is not an object`);
  }
  if (json.credsStore !== undefined && typeof json.credsStore !== "string") {
    throw unusable(path, 'has "credsStore" that is not a text');
  }
  return {
    path,
    auths: (json.auths ?? {}) as AuthFile["auths"],
    credHelpers: (json.credHelpers ?? {}) as AuthFile["credHelpers"],
    credsStore: json.credsStore === "" ? undefined : json.credsStore,
  };
}

/** A helper for this registry, then the store for all, then what is written in the file itself. */
async function lookUp(
  file: AuthFile,
  registry: string,
  repository: string,
  options: DockerConfigOptions,
): Promise<Credentials | undefined> {
  const own = entryOf(file.credHelpers, [registry, ...(registry === "docker.io" ? [hubKey, "index.docker.io"] : [])]);
  for (const name of [own, file.credsStore]) {
    if (name === undefined) continue;
    if (typeof name !== "string")
      throw unusable(file.path, `names a credential helper for ${registry} that is not a text`);
    const helper = createCredentialHelper(name, file.path, options);
    const found = await helper.get(registry === "docker.io" ? hubKey : registry);
    if (found !== undefined) return found;
  }
  const entry = entryOf(file.auths, authKeys(registry, repository));
  return entry === undefined ? undefined : parseEntry(entry, registry, file.path);
}

/** The keys under which a repository's credentials may be, most specific first: podman knows namespaces, old dockers wrote URLs. */
function authKeys(registry: string, repository: string): readonly string[] {
  const parts = repository.split("/");
  const namespaces = parts.map((_, index) => [registry, ...parts.slice(0, parts.length - index)].join("/"));
  const hosts = registry === "docker.io" ? [hubKey, registry, "index.docker.io", "registry-1.docker.io"] : [registry];
  return [...namespaces, ...hosts];
}

/** The entry of the first key that is there, by its own name or, for hosts, inside a URL. */
function entryOf(entries: Readonly<Record<string, unknown>>, keys: readonly string[]): unknown {
  const exact = keys.find((key) => Object.hasOwn(entries, key));
  if (exact !== undefined) return entries[exact];
  const url = Object.keys(entries).find((key) => {
    const host = /^https?:\/\/([^/]+)(?:\/(?:v1|v2)?\/?)?$/.exec(key)?.[1];
    return host !== undefined && keys.includes(host);
  });
  return url === undefined ? undefined : entries[url];
}

function parseEntry(entry: unknown, registry: string, path: string): Credentials | undefined {
  const wrong = () => unusable(path, `has an entry for ${registry} that holds no user and password`);
  if (!isObject(entry)) throw wrong();
  if (typeof entry.identitytoken === "string" && entry.identitytoken !== "") {
    return { identityToken: entry.identitytoken };
  }
  if (typeof entry.username === "string" && typeof entry.password === "string" && entry.username !== "") {
    return { username: entry.username, password: entry.password };
  }
  // docker login leaves an empty entry beside a credentials store.
  if (entry.auth === undefined || entry.auth === "") return undefined;
  if (typeof entry.auth !== "string") throw wrong();
  const decoded = Buffer.from(entry.auth, "base64")
    .toString("utf8")
    .replace(/\u0000+$/, "");
  const colon = decoded.indexOf(":");
  if (colon < 1) throw wrong();
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unusable(path: string, why: string, cause?: unknown): RegistryError {
  return new RegistryError("credentials", `${path} ${why}`, {
    hint: "Correct the file, or log in again to have it written anew.",
    cause,
  });
}
