import { createHash } from "node:crypto";
import { chmodSync, chownSync, lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from "node:fs";
import { join } from "node:path";

/** What no build may change on the host, as it was when this was read. */
export interface HostState {
  /** What is otherwise now, a line each: a path of /dev or /etc, or a line of this process's mount table. */
  changes(): readonly string[];
  /** Gives the nodes of /dev the modes and owners back that they had, so that a fault of the product costs no more than its test. */
  restoreDevices(): void;
}

/** Reads /dev (type, mode, owner, number), /etc (these and contents) and the mount table. Terminals and shared memory come and go by themselves. */
export function readHostState(): HostState {
  const before = lines();
  const devices = [...nodes("/dev")];
  return {
    changes() {
      const now = new Set(lines());
      const then = new Set(before);
      return [...before.filter((line) => !now.has(line)), ...[...now].filter((line) => !then.has(line))];
    },
    restoreDevices() {
      for (const [path, about] of devices) {
        const now = lstatSync(path, { throwIfNoEntry: false });
        if (now === undefined || now.isSymbolicLink() || now.ino !== about.ino) continue;
        if (now.uid !== about.uid || now.gid !== about.gid) chownSync(path, about.uid, about.gid);
        if (now.mode !== about.mode) chmodSync(path, about.mode & 0o7777);
      }
    },
  };
}

const lines = (): readonly string[] => [
  ...[...nodes("/dev"), ...nodes("/etc")].map(
    ([path, about]) => `${path} ${about.mode} ${about.uid}:${about.gid} ${about.rdev} ${contentOf(path, about)}`,
  ),
  ...readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ").slice(3, 6).join(" ")),
];

const passing = ["/dev/pts", "/dev/shm", "/dev/mqueue"];

function* nodes(folder: string): Generator<readonly [path: string, about: Stats]> {
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    const about = lstatSync(path, { throwIfNoEntry: false });
    if (about === undefined || passing.includes(path)) continue;
    yield [path, about];
    if (about.isDirectory()) yield* nodes(path);
  }
}

function contentOf(path: string, about: Stats): string {
  if (about.isSymbolicLink()) return readlinkSync(path);
  return about.isFile() ? createHash("sha256").update(readFileSync(path)).digest("hex") : "";
}
