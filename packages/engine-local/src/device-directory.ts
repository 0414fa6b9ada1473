import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The host's devices that a sandbox has. */
export const deviceNames = ["null", "zero", "full", "random", "urandom", "tty"] as const;

const links = { ptmx: "pts/ptmx", fd: "/proc/self/fd", stdin: "fd/0", stdout: "fd/1", stderr: "fd/2" };

/** Makes what one sandbox sees as its /dev: files for devices to be bound on, directories for mounts, links. A step may add to it. */
export function makeDeviceDirectory(path: string): void {
  mkdirSync(path);
  chmodSync(path, 0o755);
  for (const name of deviceNames) writeFileSync(join(path, name), "");
  for (const name of ["pts", "shm", "mqueue"]) mkdirSync(join(path, name), { mode: 0o755 });
  for (const [name, target] of Object.entries(links)) symlinkSync(target, join(path, name));
}
