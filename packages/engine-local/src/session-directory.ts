import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Host } from "./host.ts";
import type { LayerStore } from "./layer-store.ts";

/**
 * One session's own folder:
 *
 *     l/     short symlinks to layers, named 0 1 2 …: the kernel takes 4,095 bytes of overlay options
 *     s/     skeleton, the bottom layer of every mount: mount points that must exist and belong to no captured layer
 *     e/     an empty bottom layer, for looking at a state without the skeleton
 *     m/     where each sandbox mounts its root, in a mount namespace of its own
 *     dev/   what is copied into a sandbox's /dev
 *     f/     fifos for the output of steps
 *     drafts of layers, work directories and scripts of the sandboxes
 */
export interface SessionDirectory {
  readonly path: string;
  readonly mountPoint: string;
  readonly layers: string;
  readonly skeleton: string;
  readonly fifos: string;
  /** The short name of a layer in `layers`. */
  shortName(id: string): string;
}

export const deviceNames = ["null", "zero", "full", "random", "urandom", "tty"] as const;

/** Files of fstab form; which of the second kind is used depends on what the environment has. */
export function mountTable(resolvConf: boolean, hosts: boolean): string {
  return `fstab2${resolvConf ? ".resolv" : ""}${hosts ? ".hosts" : ""}`;
}

export function createSessionDirectory(
  path: string,
  host: Host,
  store: LayerStore,
  options: { readonly network: boolean },
): SessionDirectory {
  const inside = (...names: string[]) => join(path, ...names);
  for (const name of ["", "l", "s", "e", "m", "dev", "f"]) mkdirSync(inside(name), { mode: 0o700 });
  for (const name of ["s", "e", "dev"]) chmodSync(inside(name), 0o755);

  for (const name of ["dev", "proc", "sys", "etc"]) mkdirSync(inside("s", name), { mode: 0o755 });
  mkdirSync(inside("s", "tmp"));
  chmodSync(inside("s", "tmp"), 0o1777);
  for (const name of ["resolv.conf", "hosts", "hostname"]) writeFileSync(inside("s", "etc", name), "", { mode: 0o644 });
  symlinkSync("../s", inside("l", "s"));
  symlinkSync("../e", inside("l", "e"));

  for (const name of deviceNames) writeFileSync(inside("dev", name), "", { mode: 0o666 });
  for (const name of ["pts", "shm", "mqueue"]) mkdirSync(inside("dev", name), { mode: 0o755 });
  const links = { ptmx: "pts/ptmx", fd: "/proc/self/fd", stdin: "fd/0", stdout: "fd/1", stderr: "fd/2" };
  for (const [name, target] of Object.entries(links)) symlinkSync(target, inside("dev", name));

  // Without network the host's names lead nowhere.
  writeFileSync(inside("hosts"), "127.0.0.1\tlocalhost\n::1\tlocalhost\n", { mode: 0o644 });
  const files = {
    resolvConf: "/etc/resolv.conf",
    hosts: options.network ? "/etc/hosts" : inside("hosts"),
  };
  writeFileSync(inside("fstab1"), firstMounts(inside("m"), host));
  for (const resolvConf of [false, true])
    for (const hosts of [false, true])
      writeFileSync(
        inside(mountTable(resolvConf, hosts)),
        secondMounts(inside("m"), host, {
          ...(resolvConf ? { "resolv.conf": files.resolvConf } : {}),
          ...(hosts ? { hosts: files.hosts } : {}),
        }),
      );

  const names = new Map<string, string>();
  return {
    path,
    mountPoint: inside("m"),
    layers: inside("l"),
    skeleton: inside("s"),
    fifos: inside("f"),
    shortName(id) {
      const known = names.get(id);
      if (known !== undefined) return known;
      const name = names.size.toString(36).replaceAll(/[se]/g, (letter) => letter.toUpperCase());
      symlinkSync(store.files(id), inside("l", name));
      names.set(id, name);
      return name;
    },
  };
}

type FstabLine = readonly [source: string, target: string, type: string, options: string];

/** Kernel views, and an empty /dev. A read-only bind must repeat the flags of what it binds. */
function firstMounts(root: string, host: Host): string {
  const quiet = "nosuid,nodev,noexec";
  return fstab([
    ["proc", `${root}/proc`, "proc", quiet],
    // Not every kernel has all of them.
    ...["bus", "fs", "irq", "sys", "sysrq-trigger"]
      .filter((name) => existsSync(`/proc/${name}`))
      .map((name): FstabLine => [`${root}/proc/${name}`, `${root}/proc/${name}`, "none", `bind,ro,${quiet}`]),
    // Only who owns the network namespace may mount sysfs.
    ...(host.mapping === "root" ? [["sysfs", `${root}/sys`, "sysfs", `ro,${quiet}`] as FstabLine] : []),
    ["tmpfs", `${root}/dev`, "tmpfs", "nosuid,noexec,mode=755"],
  ]);
}

function secondMounts(root: string, host: Host, files: Readonly<Record<string, string>>): string {
  // Group 5 (tty) exists only where a range of groups is mapped.
  const group = host.mapping === "single" ? "" : ",gid=5";
  return fstab([
    ...deviceNames.map((name): FstabLine => [`/dev/${name}`, `${root}/dev/${name}`, "none", "bind"]),
    ["devpts", `${root}/dev/pts`, "devpts", `nosuid,noexec,newinstance,ptmxmode=0666,mode=0620${group}`],
    ["tmpfs", `${root}/dev/shm`, "tmpfs", "nosuid,nodev,mode=1777"],
    ...Object.entries(files).map(
      ([name, source]): FstabLine => [source, `${root}/etc/${name}`, "none", "bind,ro,nosuid,nodev,noexec"],
    ),
  ]);
}

function fstab(lines: readonly FstabLine[]): string {
  return lines.map((line) => `${line.map(escapeField).join(" ")} 0 0\n`).join("");
}

/** fstab separates by blanks, so they are written as octal numbers. */
export function escapeField(text: string): string {
  return text.replaceAll(/[\s\\#]/g, (letter) => `\\${letter.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
