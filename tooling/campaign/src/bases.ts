import { type TarHeader, tarHeader, tarOf } from "@melange2/oci";
import type { Random } from "./random.ts";

interface Entry {
  readonly header: TarHeader;
  readonly body?: Uint8Array;
}

const folder = (name: string, mode = 0o755): Entry => ({ header: tarHeader({ name, type: "directory", mode }) });
const file = (name: string, text: string | Buffer, mode = 0o644): Entry => {
  const body = Buffer.from(text);
  return { header: tarHeader({ name, type: "file", mode, size: body.length }), body };
};
const link = (name: string, linkname: string): Entry => ({ header: tarHeader({ name, type: "symlink", linkname }) });

const applets = ["sh", "cat", "ls", "mkdir", "rm", "echo", "env", "id", "true", "ln", "touch", "sleep"];

/** What engines touch in a base, and so what a base can have otherwise. */
const places = [
  "tmp",
  "dev",
  "proc",
  "sys",
  "etc",
  "etc/resolv.conf",
  "etc/hosts",
  "etc/hostname",
  "etc/passwd",
  "etc/group",
  "home",
  "home/build",
  "root",
  "run",
  "var",
  "var/cache",
  "var/cache/melange",
  "bin/sh",
  "usr",
  ".melange2",
  "dev/null",
  "dev/console",
  "dev/pts",
  "etc/mtab",
] as const;

/** A base as a tar, with one to four places that are not what they usually are. `canary`: a folder of the host that links aim at. */
export function hostileBase(random: Random, busybox: Buffer, canary: string): Buffer {
  const entries = new Map<string, Entry>();
  const add = (entry: Entry) => entries.set(entry.header.name, entry);
  for (const name of ["bin", "dev", "etc", "home", "proc", "root", "run", "sys", "usr", "var"]) add(folder(name));
  add(folder("tmp", 0o1777));
  add(file("bin/busybox", busybox, 0o755));
  for (const name of applets) add(link(`bin/${name}`, "busybox"));
  add(file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"));
  add(file("etc/group", "root:x:0:\n"));
  for (let count = random.below(4); count >= 0; count--) {
    const place = random.pick(places);
    // What lay below a folder that is one no longer is gone with it.
    for (const name of [...entries.keys()]) if (name === place || name.startsWith(`${place}/`)) entries.delete(name);
    const instead = random.pick(replacements)(place, canary);
    if (instead !== undefined) add(instead);
  }
  if (random.oneIn(8)) add(random.pick(strangers)(canary));
  const tar = Buffer.from(tarOf(entries.values()));
  if (!random.oneIn(10)) return tar;
  return random.oneIn(2)
    ? tar.subarray(0, random.below(tar.length))
    : flipped(tar, random.below(Math.min(tar.length, 4096)));
}

const replacements: readonly ((place: string, canary: string) => Entry | undefined)[] = [
  () => undefined,
  (place) => link(place, "/nowhere/at/all"),
  (place) => link(place, place.split("/").at(-1) ?? place),
  (place, canary) => link(place, canary),
  (place) => link(place, "../../../../../../etc"),
  (place) => link(place, "/"),
  (place) => file(place, "a file\n"),
  (place) => file(place, "", 0o000),
  (place) => ({ header: tarHeader({ name: place, type: "fifo" }) }),
  (place) => ({ header: tarHeader({ name: place, type: "character", major: 1, minor: 3 }) }),
  (place) => folder(place, 0o000),
  (place) => folder(place, 0o7777),
];

const strangers: readonly ((canary: string) => Entry)[] = [
  (canary) => file(`..${canary}/escaped`, "x"),
  (canary) => file(`${canary}/escaped`, "x"),
  () => file("a/../../../../escaped", "x"),
  () => file("n".repeat(300), "x"),
  () => file(".wh.passwd", ""),
  () => file("etc/.wh..wh..opq", ""),
  () => file("a\u0001\u001b[31mb", "x"),
  () => ({ header: tarHeader({ name: "hard", type: "hardlink", linkname: "../../etc/shadow" }) }),
  () => ({ header: tarHeader({ name: "hard", type: "hardlink", linkname: "nowhere" }) }),
];

function flipped(tar: Buffer, at: number): Buffer {
  const damaged = Buffer.from(tar);
  damaged[at] = (damaged[at] as number) ^ 0x41;
  return damaged;
}
