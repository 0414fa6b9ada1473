import type { Host } from "./host.ts";

/** What a process sees of its own, besides mounts and process ids. */
export interface Isolation {
  /** `host`: the machine's network; `none`: a loopback interface of its own; */
  readonly network: "host" | "none";
  /** System V IPC, host name and the view of control groups apart as well. */
  readonly full: boolean;
}

/**
 * The words before a command that run it as root of namespaces of its own, as process 1. It dies with the process that
 * starts it, and everything it started dies with it. Mounts made inside are never seen outside.
 */
export function inNamespaces(host: Host, isolation: Isolation): readonly string[] {
  return [
    ...diesWithParent(host),
    host.tool("unshare"),
    ...userNamespace(host),
    ...(isolation.network === "none" ? ["-n"] : []),
    ...(isolation.full ? ["-i", "-u", "-C"] : []),
    ...["-m", "-p", "-f", "--kill-child", "--propagation", "slave", "--"],
  ];
}

/** Without this a launcher outlives a SIGKILL of Node. */
export function diesWithParent(host: Host): readonly string[] {
  return [host.tool("setpriv"), "--pdeathsig", "KILL"];
}

/** `-r --map-auto` because the syntax of --map-users changed after util-linux 2.38. */
function userNamespace(host: Host): readonly string[] {
  if (host.mapping === "root") return [];
  return host.mapping === "range" ? ["-U", "-r", "--map-auto"] : ["-U", "-r"];
}
