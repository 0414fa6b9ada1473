import { createHash } from "node:crypto";
import { abortable, type StringMap } from "./bytes.ts";
import { OciError } from "./error.ts";
import { eachItem, emptyNode, findNode, putNode, removeNode, type TreeNode, treeRoot } from "./file-tree.ts";
import type { Layer } from "./layer.ts";
import { type ByteString, type TarEntryType, type TarHeader, textOf } from "./tar-entry.ts";
import { entryPath } from "./tar-path.ts";
import { readTar } from "./tar-reader.ts";
import { type Whiteout, whiteoutOf } from "./whiteout.ts";

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
  const root = treeRoot<File>();
  for (const layer of layers) apply(root, await read(layer, signal));
  return listing(root);
}

interface File {
  readonly sha256: string;
}

interface LayerContent {
  readonly whiteouts: readonly Whiteout[];
  readonly entries: readonly { readonly path: ByteString; readonly header: TarHeader; readonly file: File }[];
}

async function read(layer: Layer, signal: AbortSignal | undefined): Promise<LayerContent> {
  const whiteouts: Whiteout[] = [];
  const entries: LayerContent["entries"][number][] = [];
  for await (const { header, body } of readTar(abortable(layer.open("tar"), signal), { end: "optional" })) {
    const path = entryPath(header.name);
    const whiteout = whiteoutOf(path);
    if (whiteout) whiteouts.push(whiteout);
    else {
      const hash = createHash("sha256");
      for await (const chunk of body) hash.update(chunk);
      entries.push({ path, header, file: { sha256: hash.digest("hex") } });
    }
  }
  return { whiteouts, entries };
}

/** Whiteouts hide what is below, never what their own layer brings, wherever in it they stand. */
function apply(root: TreeNode<File>, layer: LayerContent): void {
  for (const { kind, path } of layer.whiteouts) {
    if (kind === "opaque") emptyNode(root, path);
    else removeNode(root, path);
  }
  for (const { path, header, file } of layer.entries) {
    if (header.type !== "hardlink") putNode(root, path, { header, file });
    else {
      const item = findNode(root, entryPath(header.linkname))?.item;
      if (!item)
        throw new OciError(
          "invalid",
          `${textOf(path)} is a hard link to ${textOf(header.linkname)}, which is not there`,
          "The layer is damaged.",
        );
      putNode(root, path, item);
    }
  }
}

function listing(root: TreeNode<File>): ReadonlyMap<ByteString, FlatEntry> {
  const first = new Map<object, ByteString>();
  const shared = new Set<object>();
  for (const [path, item] of eachItem(root)) {
    if (first.has(item)) shared.add(item);
    else first.set(item, path);
  }
  const flat = new Map<ByteString, FlatEntry>();
  for (const [path, item] of eachItem(root)) {
    const sharedWith = shared.has(item) ? first.get(item) : undefined;
    flat.set(path, { ...flatEntry(item.header, item.file), ...(sharedWith === undefined ? {} : { sharedWith }) });
  }
  return flat;
}

function flatEntry(header: TarHeader, file: File): FlatEntry {
  const { type, mode, uid, gid, size, mtime } = header;
  return {
    type: type as FlatEntry["type"],
    mode,
    uid,
    gid,
    size,
    mtime,
    ...(type === "file" ? { sha256: file.sha256 } : {}),
    ...(type === "symlink" ? { linkname: header.linkname } : {}),
    ...(type === "character" || type === "block" ? { device: `${header.major}:${header.minor}` } : {}),
    xattrs: Object.fromEntries(
      [...header.xattrs]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, value]) => [name, Buffer.from(value).toString("base64")]),
    ),
  };
}
