import { mkdir, symlink } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { bootstrap, cached, findProgram, isRoot } from "@melange2-tooling/machine";
import { type Daemon, startDaemon } from "./daemon.ts";
import type { Started } from "./provision.ts";

export interface DockerOptions {
  name: string;
  version: "20.10" | "28";
  /** Further arguments of dockerd. */
  arguments: readonly string[];
  /** The variable that gets the path of the daemon's unix socket. */
  variable: string;
}

/** The Debian release that has the version. */
const suites = { "20.10": "bookworm", "28": "sid" } as const;

/** The kernel takes no longer path for a unix socket. */
const socketPathLimit = 107;

// A root that stays as it was made, with what dockerd writes to in its own folder or in memory. dockerd ends up as the namespace's first process.
const enter = `
  root=$1 socket=$2 data=$3; shift 3
  mount --bind "$root" "$root"
  mount -o remount,bind,ro "$root"
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  for folder in run tmp etc/docker; do mount -t tmpfs tmpfs "$root/$folder"; done
  mkdir "$root/run/socket"
  mount --bind "$socket" "$root/run/socket"
  mount --bind "$data" "$root/var/lib/docker"
  exec chroot "$root" dockerd --host=unix:///run/socket/docker.sock "$@"`;

// Nothing that would change the machine's firewall, routing or interfaces; containers run without network.
const aloof = ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none"];

/** A Docker daemon of its own, of the given version, in a root filesystem of the Debian release that has it. */
export async function startDocker(options: DockerOptions, folder: string): Promise<Started> {
  if (!isRoot()) throw new Error("a Docker daemon needs root");
  const socket = join(folder, "socket/docker.sock");
  if (socket.length > socketPathLimit) {
    throw new Error(`${socket} is too long for a socket: set MELANGE2_TEST_CACHE to a shorter folder`);
  }
  const root = await dockerRoot(options.version);
  for (const part of ["socket", "data"]) await mkdir(join(folder, part), { recursive: true });
  const daemon: Daemon = await startDaemon({
    name: options.name,
    folder,
    namespaces: true,
    argv: [
      "sh",
      "-euc",
      enter,
      "sh",
      root,
      join(folder, "socket"),
      join(folder, "data"),
      ...aloof,
      ...options.arguments,
    ],
    ready: () => answers(socket),
  });
  return { env: { [options.variable]: socket, ...(await client()) }, stop: daemon.stop };
}

const dockerRoot = (version: keyof typeof suites): Promise<string> =>
  cached(`docker-${version}`, async (unfinished) => {
    const include = ["docker.io", "iptables", "ca-certificates"];
    await bootstrap(unfinished, { suite: suites[version], variant: "apt", format: "directory", include });
    for (const mountPoint of ["etc/docker", "var/lib/docker"])
      await mkdir(join(unfinished, mountPoint), { recursive: true });
  });

/** Puts a docker client on PATH where there is none: that of the older root, which needs nothing newer than this machine has. */
async function client(): Promise<{ PATH?: string }> {
  if ((await findProgram("docker")) !== undefined) return {};
  const docker = join(await dockerRoot("20.10"), "usr/bin/docker");
  const bin = await cached("docker-client", async (unfinished) => {
    await mkdir(unfinished);
    await symlink(docker, join(unfinished, "docker"));
  });
  return { PATH: `${bin}:${process.env.PATH}` };
}

const answers = (socketPath: string): Promise<boolean> =>
  new Promise((resolve) => {
    const ping = request({ socketPath, path: "/_ping" }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.on("error", () => resolve(false));
    ping.end();
  });
