import { createHash } from "node:crypto";
import type { Bytes, StringMap } from "./bytes.ts";
import type { Layer } from "./layer.ts";
import { type LayerTree, readLayers, type TreeItem } from "./layer-tree.ts";
import type { ByteString, TarEntryType } from "./tar-entry.ts";

/** One path of a file system that layers make together. */
export interface FlatEntry {
  readonly type: Exclude<TarEntryType, "hardlink">;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** Of a file's content, 64 hex digits. */
  readonly sha256?: string;
  /** Of a symlink. */
  readonly linkname?: ByteString;
  /** `major:minor` of a device. */
  readonly device?: string;
  /** Name to value in base64. */
  readonly xattrs: StringMap;
  /** Set where several paths are one file: the first of them in byte order. */
  readonly sharedWith?: ByteString;
}

/**
 * The file system that layers make, bottom layer first, as a runtime would unpack them: whiteouts and opaque directories applied, hard links resolved,
 * symlinks on the way to an entry followed. Keys are paths without a leading slash, `""` the root where a layer describes it; directories that no layer describes are
 * left out. Holds names and digests in memory, no content.
 */
export async function flatten(
  layers: readonly Layer[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<ByteString, FlatEntry>> {
  return listing(await readLayers(layers, (_path, _header, body) => sha256Of(body), signal));
}

async function sha256Of(body: Bytes): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of body) hash.update(chunk);
  return hash.digest("hex");
}

function listing(tree: LayerTree<string>): ReadonlyMap<ByteString, FlatEntry> {
  const first = new Map<object, ByteString>();
  const shared = new Set<object>();
  for (const [path, item] of tree.items()) {
    if (first.has(item)) shared.add(item);
    else first.set(item, path);
  }
  const flat = new Map<ByteString, FlatEntry>();
  for (const [path, item] of tree.items()) {
    const sharedWith = shared.has(item) ? first.get(item) : undefined;
    flat.set(path, { ...flatEntry(item), ...(sharedWith === undefined ? {} : { sharedWith }) });
  }
  return flat;
}

function flatEntry({ header, file }: TreeItem<string>): FlatEntry {
  const { type, mode, uid, gid, size, mtime } = header;
  return {
    type: type as FlatEntry["type"],
    mode,
    uid,
    gid,
    size,
    mtime,
    ...(file === undefined ? {} : { sha256: file }),
    ...(type === "symlink" ? { linkname: header.linkname } : {}),
    ...(type === "character" || type === "block" ? { device: `${header.major}:${header.minor}` } : {}),
    xattrs: Object.fromEntries(
      [...header.xattrs]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, value]) => [name, Buffer.from(value).toString("base64")]),
    ),
  };
}
