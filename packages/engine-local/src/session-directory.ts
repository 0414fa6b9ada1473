import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LayerStore } from "./layer-store.ts";

/**
 * One session's own folder:
 *
 *     l/     short symlinks to layers, named 0 1 2 …: the kernel takes 4,095 bytes of overlay options
 *     s/     skeleton, the bottom layer of every mount: mount points that must exist and belong to no captured layer
 *     e/     an empty bottom layer, for looking at a state without the skeleton
 *     m/     where each sandbox mounts its root, in a mount namespace of its own
 *     f/     fifos for the output of steps
 *     hosts  what sandboxes without network have as /etc/hosts
 *     drafts of layers, work directories, devices and scripts of the sandboxes
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

export function createSessionDirectory(path: string, store: LayerStore): SessionDirectory {
  const inside = (...names: string[]) => join(path, ...names);
  for (const name of ["", "l", "s", "e", "m", "f"]) mkdirSync(inside(name), { mode: 0o700 });
  for (const name of ["s", "e"]) chmodSync(inside(name), 0o755);

  for (const name of ["dev", "proc", "sys", "etc"]) mkdirSync(inside("s", name), { mode: 0o755 });
  mkdirSync(inside("s", "tmp"));
  chmodSync(inside("s", "tmp"), 0o1777);
  for (const name of ["resolv.conf", "hosts", "hostname"]) writeFileSync(inside("s", "etc", name), "", { mode: 0o644 });
  symlinkSync("../s", inside("l", "s"));
  symlinkSync("../e", inside("l", "e"));

  // Without network the host's names lead nowhere.
  writeFileSync(inside("hosts"), "127.0.0.1\tlocalhost\n::1\tlocalhost\n", { mode: 0o644 });
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
