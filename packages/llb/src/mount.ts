import { create } from "@bufbuild/protobuf";
import { ownerId, permissions, someText, whole } from "./check.ts";
import { LlbError } from "./error.ts";
import { CacheSharingOpt, type Mount as MountMessage, MountSchema, MountType } from "./gen/ops_pb.ts";
import { absolutePath } from "./path.ts";
import type { State } from "./state.ts";

/** Something that a process sees besides its root. `target` is absolute and unique in the exec. */
export type Mount = BindMount | CacheMount | SecretMount | TmpfsMount;

/** A state. Writable, its changed form is one of the exec's results; `scratch` gives an empty directory to fill. */
export interface BindMount {
  readonly type: "bind";
  readonly target: string;
  readonly from: State;
  /** The absolute path in `from` that is mounted; all of it by default. */
  readonly selector?: string;
  readonly readonly?: boolean;
}

/** A directory that the daemon keeps between runs. No snapshot holds it. */
export interface CacheMount {
  readonly type: "cache";
  readonly target: string;
  /** Execs that name the same id share it. */
  readonly id: string;
  /** shared: several writers at once; private: a new one for a second writer; locked: the second writer waits. */
  readonly sharing?: "shared" | "private" | "locked";
  /** What it holds when it is new, and whose it is. Another state makes another directory, whatever the id. */
  readonly from?: State;
  /** The absolute path in `from` that is taken; all of it by default. */
  readonly selector?: string;
}

/** A file whose content the client's session gives when the exec runs. Neither snapshot nor cache key holds it. */
export interface SecretMount {
  readonly type: "secret";
  readonly target: string;
  /** What the session is asked for. */
  readonly id: string;
  /** True: without a value the file is missing; else the exec fails before it runs. */
  readonly optional?: boolean;
  /** Permission bits, at most 0o777; 0o400 by default. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface TmpfsMount {
  readonly type: "tmpfs";
  readonly target: string;
  /** Bytes, at least 1; undefined: no limit of its own. */
  readonly size?: number;
}

/** The root and the mounts by target, parents before what lies in them. */
export function orderMounts(root: BindMount, mounts: readonly Mount[]): readonly Mount[] {
  const all = [
    root,
    ...mounts.map((mount) => ({ ...mount, target: absolutePath(`exec, ${mount.type}`, mount.target) })),
  ];
  const ordered = all.sort((a, b) => (a.target < b.target ? -1 : a.target > b.target ? 1 : 0));
  ordered.forEach((mount, index) => {
    if (index > 0 && ordered[index - 1]?.target === mount.target) {
      throw new LlbError("exec", `${mount.target} is mounted twice`, "Give every mount its own target; / is the root.");
    }
  });
  return ordered;
}

/** Whether the exec's changes in it become a result. */
export function isResult(mount: Mount): boolean {
  return mount.type === "bind" && mount.readonly !== true;
}

/** `output` is the number of the result, or -1. */
export function marshalMount(mount: Mount, input: (state: State) => number, output: number): MountMessage {
  const where = `exec, ${mount.type} ${mount.target}`;
  const common = { dest: mount.target, output, input: -1 };
  switch (mount.type) {
    case "bind":
      return create(MountSchema, {
        ...common,
        input: input(mount.from),
        readonly: mount.readonly ?? false,
        selector: mount.selector === undefined ? "" : absolutePath(where, mount.selector),
      });
    case "cache":
      return create(MountSchema, {
        ...common,
        input: mount.from === undefined ? -1 : input(mount.from),
        selector: mount.selector === undefined ? "" : absolutePath(where, mount.selector),
        mountType: MountType.CACHE,
        cacheOpt: { ID: someText(`${where}, id`, mount.id), sharing: sharingModes[mount.sharing ?? "shared"] },
      });
    case "secret":
      return create(MountSchema, {
        ...common,
        mountType: MountType.SECRET,
        secretOpt: {
          ID: someText(`${where}, id`, mount.id),
          uid: ownerId(`${where}, uid`, mount.uid ?? 0),
          gid: ownerId(`${where}, gid`, mount.gid ?? 0),
          mode: permissions(`${where}, mode`, mount.mode ?? 0o400, 0o777),
          optional: mount.optional ?? false,
        },
      });
    case "tmpfs":
      return create(MountSchema, {
        ...common,
        mountType: MountType.TMPFS,
        TmpfsOpt: {
          size: mount.size === undefined ? 0n : BigInt(whole(`${where}, size`, mount.size, 1, Number.MAX_SAFE_INTEGER)),
        },
      });
  }
}

export function mountCapabilities(mount: Mount): readonly string[] {
  switch (mount.type) {
    case "bind":
      return ["exec.mount.bind", ...(mount.selector === undefined ? [] : ["exec.mount.selector"])];
    case "cache":
      return [
        "exec.mount.cache",
        "exec.mount.cache.sharing",
        ...(mount.selector === undefined ? [] : ["exec.mount.selector"]),
      ];
    case "secret":
      return ["exec.mount.secret"];
    case "tmpfs":
      return ["exec.mount.tmpfs", ...(mount.size === undefined ? [] : ["exec.mount.tmpfs.size"])];
  }
}

const sharingModes = {
  shared: CacheSharingOpt.SHARED,
  private: CacheSharingOpt.PRIVATE,
  locked: CacheSharingOpt.LOCKED,
} as const;
