import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { MelangeError } from "@melange2/core";

/** How a daemon is reached. */
export interface Endpoint {
  /** As DOCKER_HOST spells it: `unix:///var/run/docker.sock`, `tcp://build.example.com:2376`. */
  readonly address: string;
  readonly socketPath?: string;
  readonly host?: string;
  readonly port?: number;
  readonly tls?: TlsFiles & { readonly verify: boolean };
  /** The arguments that lead docker's own client there: empty where it goes by itself, `--context NAME`, `-H ADDRESS`. */
  readonly clientArguments: readonly string[];
}

/** PEM texts. */
interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** Bytes that the kernel takes for the path of a socket. */
const longestSocketPath = 107;

const defaultSocket = "/var/run/docker.sock";

/**
 * The daemon that docker's own client would use: DOCKER_HOST, else the chosen context, else the usual socket; where that is not there
 * also a rootless Docker's or a podman's. Opens no connection. Rejects with code `usage`.
 */
export async function resolveEndpoint(env: Variables): Promise<Endpoint> {
  const configFolder = env.DOCKER_CONFIG || join(env.HOME || homedir(), ".docker");
  if (env.DOCKER_HOST) return fromVariables(env.DOCKER_HOST, env, configFolder);
  const context = env.DOCKER_CONTEXT || (await currentContext(configFolder));
  if (context && context !== "default") return fromContext(context, configFolder);
  return firstSocket(env);
}

async function fromVariables(address: string, env: Variables, configFolder: string): Promise<Endpoint> {
  const verify = Boolean(env.DOCKER_TLS_VERIFY);
  const useTls = verify || Boolean(env.DOCKER_TLS);
  if (!useTls || !address.startsWith("tcp:"))
    return { ...parseAddress(address, false), clientArguments: ["-H", address] };
  const folder = env.DOCKER_CERT_PATH || configFolder;
  const files = await readTlsFiles(folder);
  const flags = [
    verify ? "--tlsverify" : "--tls",
    ...(files.ca === undefined ? [] : [`--tlscacert=${join(folder, "ca.pem")}`]),
    ...(files.cert === undefined ? [] : [`--tlscert=${join(folder, "cert.pem")}`]),
    ...(files.key === undefined ? [] : [`--tlskey=${join(folder, "key.pem")}`]),
  ];
  return { ...parseAddress(address, true), tls: { ...files, verify }, clientArguments: ["-H", address, ...flags] };
}

async function currentContext(configFolder: string): Promise<string | undefined> {
  const path = join(configFolder, "config.json");
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  const { currentContext: name } = parseObject(text, path);
  return typeof name === "string" ? name : undefined;
}

async function fromContext(name: string, configFolder: string): Promise<Endpoint> {
  const id = createHash("sha256").update(name).digest("hex");
  const path = join(configFolder, "contexts/meta", id, "meta.json");
  const text = await readIfThere(path);
  if (text === undefined) {
    throw refusal(
      `the docker context "${name}" does not exist`,
      "docker context ls lists them; DOCKER_HOST overrides it.",
    );
  }
  const { Endpoints: endpoints } = parseObject(text, path) as {
    readonly Endpoints?: { readonly docker?: { readonly Host?: unknown; readonly SkipTLSVerify?: unknown } };
  };
  const address = endpoints?.docker?.Host;
  if (typeof address !== "string") throw refusal(`the docker context "${name}" names no host`, `Look at ${path}.`);
  const files = await readTlsFiles(join(configFolder, "contexts/tls", id, "docker"));
  const useTls = Object.keys(files).length > 0 || endpoints?.docker?.SkipTLSVerify === true;
  return {
    ...parseAddress(address, useTls),
    ...(useTls ? { tls: { ...files, verify: endpoints?.docker?.SkipTLSVerify !== true } } : {}),
    clientArguments: ["--context", name],
  };
}

/** The first socket that may be used, else the first that is there at all, else the usual one: whoever connects says what is wrong. */
async function firstSocket(env: Variables): Promise<Endpoint> {
  const own = env.XDG_RUNTIME_DIR;
  const paths = [
    defaultSocket,
    ...(own ? [join(own, "docker.sock"), join(own, "podman/podman.sock")] : []),
    "/run/podman/podman.sock",
  ];
  const path = (await firstWith(paths, constants.W_OK)) ?? (await firstWith(paths, constants.F_OK)) ?? defaultSocket;
  const address = `unix://${path}`;
  return { address, socketPath: path, clientArguments: path === defaultSocket ? [] : ["-H", address] };
}

async function firstWith(paths: readonly string[], mode: number): Promise<string | undefined> {
  for (const path of paths) {
    const usable = await access(path, mode).then(
      () => true,
      () => false,
    );
    if (usable) return path;
  }
  return undefined;
}

function parseAddress(address: string, tls: boolean): Omit<Endpoint, "clientArguments" | "tls"> {
  const unix = /^unix:\/\/(\/.+)$/.exec(address)?.[1];
  if (unix !== undefined && Buffer.byteLength(unix) > longestSocketPath) {
    throw refusal(
      `the path of the Docker daemon's socket is longer than ${longestSocketPath} bytes, which the kernel takes for no socket`,
      "Make a shorter link to its folder, and set DOCKER_HOST to the socket's path in there.",
    );
  }
  if (unix !== undefined) return { address, socketPath: unix };
  const url = address.startsWith("tcp://") ? URL.parse(address.replace("tcp:", "http:")) : null;
  if (url?.hostname && url.username === "" && url.pathname === "/" && url.search === "") {
    const port = Number(/:(\d+)\/?$/.exec(address)?.[1] ?? (tls ? 2376 : 2375));
    return { address, host: url.hostname.replace(/^\[|\]$/g, ""), port };
  }
  const ssh = address.startsWith("ssh:");
  throw refusal(
    ssh ? "a Docker daemon over ssh cannot be used directly" : "the Docker daemon's address is not understood",
    ssh
      ? "Forward its socket (ssh -L /tmp/docker.sock:/var/run/docker.sock HOST) and set DOCKER_HOST=unix:///tmp/docker.sock."
      : "Set DOCKER_HOST to unix:///PATH or tcp://HOST:PORT.",
  );
}

async function readTlsFiles(folder: string): Promise<TlsFiles> {
  const [ca, cert, key] = await Promise.all(
    ["ca.pem", "cert.pem", "key.pem"].map((name) => readIfThere(join(folder, name))),
  );
  return { ...(ca ? { ca } : {}), ...(cert ? { cert } : {}), ...(key ? { key } : {}) };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && (cause.code === "ENOENT" || cause.code === "ENOTDIR"))
      return undefined;
    throw refusal(`${path} cannot be read`, "Make it readable, or set DOCKER_HOST.", cause);
  }
}

function parseObject(text: string, path: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch {
    // Its text may hold credentials: it does not go into the message, nor does the parser's excerpt of it.
  }
  throw refusal(`${path} is not a JSON object`, "Mend it, or set DOCKER_HOST.");
}

function refusal(message: string, hint: string, cause?: unknown): MelangeError {
  return new MelangeError("usage", message, { hint, cause });
}
