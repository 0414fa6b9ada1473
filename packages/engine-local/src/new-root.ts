import { chmodSync, mkdirSync, statSync } from "node:fs";
import { basename, dirname, join, posix } from "node:path";
import type { CacheMount } from "@melange2/core";
import type { RootPlan } from "./boot-script.ts";
import { makeDeviceDirectory } from "./device-directory.ts";
import { runJob } from "./jobs.ts";
import { newDraft } from "./layer-store.ts";
import type { LocalSnapshot } from "./local-snapshot.ts";
import { mountableLayers } from "./merged-layers.ts";
import { shellQuote } from "./shell-quote.ts";
import type { WorkSpace } from "./work-space.ts";

/** A place for a sandbox to work in: a draft of a layer over a state. */
export interface NewRoot {
  /** Becomes a layer, or is dropped with the session. */
  readonly draft: string;
  readonly plan: RootPlan;
}

export async function newRoot(
  space: WorkSpace,
  from: LocalSnapshot,
  mounts: readonly Pick<CacheMount, "source" | "target">[],
  signal: AbortSignal,
): Promise<NewRoot> {
  const { directory, store, devices } = space;
  const layers = await mountableLayers(space, from.layers, signal);
  const draft = newDraft(directory.path);
  const name = basename(draft);
  mkdirSync(`${draft}.work`, { mode: 0o700 });
  makeDeviceDirectory(`${draft}.dev`);
  const top = layers.at(-1);
  const adopted = top === undefined ? undefined : statSync(store.files(top));
  if (adopted !== undefined) chmodSync(join(draft, "fs"), adopted.mode & 0o7777);
  const sameOwner = adopted === undefined || (adopted.uid === process.getuid?.() && adopted.gid === process.getgid?.());
  for (const { target } of mounts) mkdirSync(join(directory.skeleton, posix.join("/", target)), { recursive: true });
  return {
    draft,
    plan: {
      directories: {
        lowers: [...layers.map(directory.shortName).reverse(), "s"],
        upper: { files: `../${name}/fs`, work: `../${name}.work` },
      },
      network: space.options.network ? "host" : "none",
      mounts,
      devices: `${draft}.dev`,
      nodes: await devices.folder(signal),
      table: `${draft}.fstab`,
      ...(sameOwner || top === undefined ? {} : { adoptRootFrom: directory.shortName(top) }),
    },
  };
}

/** Before the session ends, where its room is needed. */
export async function removeDraft({ host }: WorkSpace, draft: string): Promise<void> {
  const { signal } = new AbortController();
  await runJob(host, [host.tool("rm"), "-rf", "--", draft, `${draft}.work`], { doing: "removing a draft", signal });
}

/**
 * Takes away from a draft what process 1 made there to mount on, by paths from the root, so that the layer has what the environment had. A folder
 * that holds nothing else goes with it: only making the mount point touched it.
 */
export async function removePlaced({ host }: WorkSpace, draft: string, placed: readonly string[]): Promise<void> {
  if (placed.length === 0) return;
  const { signal } = new AbortController();
  const text = `cd -- "$1" || exit; shift
for path; do
  ${shellQuote(host.tool("rm"))} -rf -- "./$path"
  rmdir -p -- "$(dirname -- "./$path")" 2>/dev/null || :
done`;
  const argv = ["/bin/sh", "-c", text, "sh", join(draft, "fs"), ...placed];
  await runJob(host, argv, { doing: "taking mount points out of a layer", signal });
}

/** A file beside a draft, private, gone with the session. */
export function besideDraft(draft: string, suffix: string): string {
  return join(dirname(draft), `${basename(draft)}.${suffix}`);
}
