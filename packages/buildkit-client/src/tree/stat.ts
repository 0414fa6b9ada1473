import { create } from "@bufbuild/protobuf";
import { type Stat, StatSchema } from "../gen/fsutil_pb.ts";
import type { TreeEntry } from "./entry.ts";

/** Bits of Go's FileMode, which travels on the wire. Its low nine bits are the permissions. */
const goMode = {
  directory: 2 ** 31,
  symlink: 2 ** 27,
  device: 2 ** 26,
  fifo: 2 ** 25,
  socket: 2 ** 24,
  setuid: 2 ** 23,
  setgid: 2 ** 22,
  character: 2 ** 21,
  sticky: 2 ** 20,
} as const;

export type StatType = "directory" | "file" | "symlink" | "device" | "fifo" | "socket";

/** As lstat(2) would tell it: a daemon takes for changed what differs from its own copy. `linkedSize`: of the file that a hard link is. */
export function statOf(entry: TreeEntry, linkedSize: (target: string) => number): Stat {
  return create(StatSchema, {
    path: entry.path,
    mode: permissionsToGo(entry.mode) + typeToGo(entry),
    uid: entry.uid,
    gid: entry.gid,
    modTime: entry.mtime,
    size: BigInt(sizeOf(entry, linkedSize)),
    linkname: entry.type === "symlink" || entry.type === "hardlink" ? entry.target : "",
    devmajor: BigInt(entry.type === "device" ? entry.major : 0),
    devminor: BigInt(entry.type === "device" ? entry.minor : 0),
    xattrs: { ...entry.xattrs },
  });
}

export function typeOf(stat: Stat): StatType {
  const has = (bit: number) => Math.floor(stat.mode / bit) % 2 === 1;
  if (has(goMode.directory)) return "directory";
  if (has(goMode.symlink)) return "symlink";
  if (has(goMode.device)) return "device";
  if (has(goMode.fifo)) return "fifo";
  if (has(goMode.socket)) return "socket";
  return "file";
}

/** As chmod(2) takes them. */
export function permissionsOf(stat: Stat): number {
  const has = (bit: number) => Math.floor(stat.mode / bit) % 2 === 1;
  const special =
    (has(goMode.setuid) ? 0o4000 : 0) + (has(goMode.setgid) ? 0o2000 : 0) + (has(goMode.sticky) ? 0o1000 : 0);
  return (stat.mode % 0o1000) + special;
}

function permissionsToGo(mode: number): number {
  return (
    (mode & 0o777) +
    (mode & 0o4000 ? goMode.setuid : 0) +
    (mode & 0o2000 ? goMode.setgid : 0) +
    (mode & 0o1000 ? goMode.sticky : 0)
  );
}

function sizeOf(entry: TreeEntry, linkedSize: (target: string) => number): number {
  switch (entry.type) {
    case "file":
      return entry.size;
    case "hardlink":
      return linkedSize(entry.target);
    case "symlink":
      return Buffer.byteLength(entry.target);
    default:
      return 0;
  }
}

function typeToGo(entry: TreeEntry): number {
  switch (entry.type) {
    case "device":
      return goMode.device + (entry.device === "character" ? goMode.character : 0);
    case "file":
    case "hardlink":
    // Daemons make none: other clients, too, send an empty file instead.
    case "socket":
      return 0;
    default:
      return goMode[entry.type];
  }
}
