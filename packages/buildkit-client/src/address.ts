import { BuildkitError } from "./error.ts";
import { commandTransport } from "./transport/command.ts";
import { dockerTransport } from "./transport/docker.ts";
import { type TlsOptions, tcpTransport } from "./transport/tcp.ts";
import type { Transport } from "./transport/transport.ts";
import { unixTransport } from "./transport/unix.ts";

export interface AddressOptions {
  /** For `tcp://`; without, the connection is not encrypted. */
  readonly tls?: TlsOptions;
}

/** What {@link parseAddress} takes, for help texts. */
export const addressForms = [
  "unix:///path/to/buildkitd.sock",
  "tcp://host:port",
  "docker:// or docker:///path/to/docker.sock",
  "docker-container://name",
  "kube-pod://pod?context=…&namespace=…&container=…",
] as const;

/** The way to a daemon that an address names. Throws a BuildkitError of code `address`. Opens nothing. */
export function parseAddress(address: string, options: AddressOptions = {}): Transport {
  const match = /^([a-z-]+):\/\/([^?]*)(?:\?(.*))?$/.exec(address);
  if (match === null) throw refuse(address, "it has no scheme");
  const [, scheme, rest = "", query = ""] = match;
  const parameters = new URLSearchParams(query);
  if (options.tls !== undefined && scheme !== "tcp") throw refuse(address, "TLS is for tcp:// addresses");
  if (query !== "" && scheme !== "kube-pod") throw refuse(address, `${scheme}:// takes no parameters`);
  switch (scheme) {
    case "unix":
      if (!rest.startsWith("/")) throw refuse(address, "the socket's path is not absolute");
      return unixTransport(socketPath(address, rest));
    case "tcp":
      return tcp(address, rest, options.tls);
    case "docker":
      if (rest !== "" && !rest.startsWith("/")) throw refuse(address, "the socket's path is not absolute");
      return dockerTransport(rest === "" ? "/var/run/docker.sock" : socketPath(address, rest));
    case "docker-container":
      return commandTransport(["docker", "exec", "-i", name(address, rest), ...dialStdio], { label: address });
    case "kube-pod":
      return commandTransport(kubectl(address, rest, parameters), { label: address });
    default:
      throw refuse(address, `${scheme}:// is not known`);
  }
}

/** In the image of BuildKit: joins standard input and output to the daemon beside it. */
const dialStdio = ["buildctl", "dial-stdio"] as const;

/** Bytes that the kernel takes for the path of a socket. */
const longestSocketPath = 107;

function socketPath(address: string, path: string): string {
  if (Buffer.byteLength(path) > longestSocketPath) {
    throw refuse(
      address,
      `the socket's path is longer than ${longestSocketPath} bytes, which the kernel takes for no socket`,
    );
  }
  return path;
}

function tcp(address: string, rest: string, tls: TlsOptions | undefined): Transport {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:/[\]]+):(\d+)$/.exec(rest);
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65535) throw refuse(address, "it does not name a host and a port");
  const host = (match[1] as string).replace(/^\[|\]$/g, "");
  return tcpTransport({ host, port, ...(tls === undefined ? {} : { tls }) });
}

function kubectl(address: string, rest: string, parameters: URLSearchParams): readonly string[] {
  const options: string[] = [];
  for (const [key, value] of parameters) {
    if (key !== "context" && key !== "namespace" && key !== "container") {
      throw refuse(address, `kube-pod:// does not take "${key}"`);
    }
    options.push(`--${key}=${value}`);
  }
  const forKubectl = options.filter((option) => !option.startsWith("--container="));
  const forExec = options.filter((option) => option.startsWith("--container="));
  return ["kubectl", ...forKubectl, "exec", "-i", ...forExec, name(address, rest), "--", ...dialStdio];
}

/** A name that the program could take for one of its options is refused. */
function name(address: string, rest: string): string {
  if (!/^[A-Za-z0-9][\w.-]*$/.test(rest)) throw refuse(address, "it does not name a container or pod");
  return rest;
}

function refuse(address: string, why: string): BuildkitError {
  return new BuildkitError("address", `"${address}" is not a BuildKit address: ${why}`, {
    hint: `Write it as ${addressForms.join(", ")}.`,
  });
}
