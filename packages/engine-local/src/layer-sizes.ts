import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { isDiskFull } from "./foreign-errors.ts";
import type { Host } from "./host.ts";
import { runJob } from "./jobs.ts";
import type { LayerStore } from "./layer-store.ts";
import type { StateDirectory } from "./state-directory.ts";

/** Bytes on disk of each layer, with the blobs that were made of it. Layers never change, so each is measured once. */
export async function layerSizes(
  host: Host,
  state: StateDirectory,
  store: LayerStore,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const note = (id: string) => join(state.layers, id, "size");
  const there = [...new Set(ids)].filter((id) => store.has(id));
  const unknown = there.filter((id) => !existsSync(note(id)));
  const measured = new Map<string, number>();
  // In portions, since an argument list has an end.
  for (let from = 0; from < unknown.length; from += 500) {
    const folders = unknown.slice(from, from + 500).map((id) => join(state.layers, id));
    const listed = await runJob(host, [host.tool("du"), "-s", "--block-size=1", "--", ...folders], {
      doing: "measuring layers",
      signal,
    });
    for (const line of listed.trim().split("\n")) {
      const [bytes = "0", folder = ""] = line.split("\t");
      measured.set(basename(folder), Number(bytes));
      writeIfRoom(join(folder, "size"), bytes);
    }
  }
  const blobs = blobSizes(state, new Set(there));
  const own = (id: string) => measured.get(id) ?? Number(readFileSync(note(id), "utf8"));
  return new Map(there.map((id) => [id, own(id) + (blobs.get(id) ?? 0)]));
}

/** What is not noted is measured again; on a full disk sizes are asked for to make room. */
function writeIfRoom(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600 });
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    rmSync(path, { force: true });
  }
}

/** Bytes of the blobs of these layers: their files are called ID.COMPRESSION. */
function blobSizes(state: StateDirectory, ids: ReadonlySet<string>): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const name of readdirSync(state.blobs)) {
    const id = name.split(".")[0] as string;
    if (ids.has(id)) sizes.set(id, (sizes.get(id) ?? 0) + statSync(join(state.blobs, name)).size);
  }
  return sizes;
}
