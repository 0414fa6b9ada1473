import { existsSync } from "node:fs";
import { deviceNames } from "./device-directory.ts";
import type { Host } from "./host.ts";

/** Lines of fstab, for one `mount -a`: each mount costs a process otherwise. */
export interface MountTable {
  /** Kernel views and devices. */
  readonly kernel: string;
  /** Files of the host's over those of an /etc that is a plain directory. */
  readonly etc: string;
}

export interface MountPaths {
  /** The root that is being made. */
  readonly root: string;
  /** The sandbox's own directory of devices. */
  readonly devices: string;
  /** A folder with device nodes of the session's own; undefined: the host's are seen, and cannot be changed. */
  readonly nodes: string | undefined;
  /** Files that are seen in /etc, by name: `hosts`, `resolv.conf`. */
  readonly etc: Readonly<Record<string, string>>;
}

const quiet = "nosuid,nodev,noexec";

/** A read-only bind must repeat the flags of what it binds. */
export const fileOptions = `bind,ro,${quiet}`;

/** Paths are absolute. */
export function mountTable(host: Host, paths: MountPaths): MountTable {
  const { root, nodes } = paths;
  // Group 5 (tty) exists only where a range of groups is mapped.
  const group = host.mapping === "single" ? "" : ",gid=5";
  return {
    kernel: fstab([
      ["proc", `${root}/proc`, "proc", quiet],
      // Not every kernel has all of them.
      ...["bus", "fs", "irq", "sys", "sysrq-trigger"]
        .filter((name) => existsSync(`/proc/${name}`))
        .map((name): Line => [`${root}/proc/${name}`, `${root}/proc/${name}`, "none", `bind,ro,${quiet}`]),
      // Only who owns the network namespace may mount sysfs.
      ...(host.mapping === "root" ? [["sysfs", `${root}/sys`, "sysfs", `ro,${quiet}`] as Line] : []),
      // In a user namespace nobody makes devices, and flags that the file system has already may not be left out.
      [paths.devices, `${root}/dev`, "none", host.userxattr ? "bind" : "bind,nosuid,nodev"],
      ...deviceNames.map((name): Line => {
        const target = `${root}/dev/${name}`;
        // Through a read-only mount a device is written to, but neither its mode nor its owner is changed.
        return nodes === undefined
          ? [`/dev/${name}`, target, "none", "bind,ro,nosuid,noexec"]
          : [`${nodes}/${name}`, target, "none", "bind,nosuid,noexec"];
      }),
      ["devpts", `${root}/dev/pts`, "devpts", `nosuid,noexec,newinstance,ptmxmode=0666,mode=0620${group}`],
      ["tmpfs", `${root}/dev/shm`, "tmpfs", "nosuid,nodev,mode=1777"],
    ]),
    etc: fstab(
      Object.entries(paths.etc).map(([name, source]): Line => [source, `${root}/etc/${name}`, "none", fileOptions]),
    ),
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
