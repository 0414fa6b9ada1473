import { existsSync } from "node:fs";
import { deviceNames } from "./device-directory.ts";
import type { Host } from "./host.ts";

/** Lines of fstab, for one `mount -a`: each mount costs a process otherwise. */
export interface MountTable {
  /** Kernel views and devices. */
  readonly always: string;
  /** Where the environment has such files for them to be mounted on. */
  readonly resolvConf: string;
  readonly hosts: string;
}

/** Paths are absolute: the root that is being made, the sandbox's own directory of devices, the file that is its /etc/hosts. */
export function mountTable(
  host: Host,
  paths: { readonly root: string; readonly devices: string; readonly hosts: string },
): MountTable {
  const { root } = paths;
  const quiet = "nosuid,nodev,noexec";
  // Group 5 (tty) exists only where a range of groups is mapped.
  const group = host.mapping === "single" ? "" : ",gid=5";
  // A read-only bind must repeat the flags of what it binds.
  const file = (source: string, name: string) => fstab([[source, `${root}/etc/${name}`, "none", `bind,ro,${quiet}`]]);
  return {
    always: fstab([
      ["proc", `${root}/proc`, "proc", quiet],
      // Not every kernel has all of them.
      ...["bus", "fs", "irq", "sys", "sysrq-trigger"]
        .filter((name) => existsSync(`/proc/${name}`))
        .map((name): Line => [`${root}/proc/${name}`, `${root}/proc/${name}`, "none", `bind,ro,${quiet}`]),
      // Only who owns the network namespace may mount sysfs.
      ...(host.mapping === "root" ? [["sysfs", `${root}/sys`, "sysfs", `ro,${quiet}`] as Line] : []),
      // In a user namespace nobody makes devices, and flags that the file system has already may not be left out.
      [paths.devices, `${root}/dev`, "none", host.userxattr ? "bind" : "bind,nosuid,nodev"],
      ...deviceNames.map((name): Line => [`/dev/${name}`, `${root}/dev/${name}`, "none", "bind"]),
      ["devpts", `${root}/dev/pts`, "devpts", `nosuid,noexec,newinstance,ptmxmode=0666,mode=0620${group}`],
      ["tmpfs", `${root}/dev/shm`, "tmpfs", "nosuid,nodev,mode=1777"],
    ]),
    resolvConf: file("/etc/resolv.conf", "resolv.conf"),
    hosts: file(paths.hosts, "hosts"),
  };
}

type Line = readonly [source: string, target: string, type: string, options: string];

function fstab(lines: readonly Line[]): string {
  return lines.map((line) => `${line.map(escapeField).join(" ")} 0 0\n`).join("");
}

/** fstab separates by blanks, so they are written as octal numbers. */
export function escapeField(text: string): string {
  return text.replaceAll(/[\s\\#]/g, (letter) => `\\${letter.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
