import { abortable, type Bytes } from "./bytes.ts";
import { OciError } from "./error.ts";
import { eachItem, emptyNode, findNode, putNode, removeNode, type TreeNode, treeRoot } from "./file-tree.ts";
import type { Layer } from "./layer.ts";
import { type ByteString, type TarHeader, textOf } from "./tar-entry.ts";
import { entryPath } from "./tar-path.ts";
import { readTar } from "./tar-reader.ts";
import { type Whiteout, whiteoutOf } from "./whiteout.ts";

/** A path of a file system that layers make. Paths of one hard link share one item. */
export interface TreeItem<F> {
  readonly header: TarHeader;
  /** What was read from a file's body; undefined for everything but files. */
  readonly file: F | undefined;
}

export interface LayerTree<F> {
  /** What is at a path (no leading slash; `""`: the root); symlinks on the way are followed as in a chroot, the last component is not. */
  find(path: ByteString): TreeItem<F> | undefined;
  /** Everything that an entry describes, in byte order of the path's components, parents first. */
  items(): Iterable<readonly [ByteString, TreeItem<F>]>;
}

/**
 * The file system that layers make, bottom layer first, as a runtime would unpack them: whiteouts and opaque directories applied, hard links resolved.
 * `read` gets each file's body, and decides what is kept of it; what it leaves unread is skipped.
 */
export async function readLayers<F>(
  layers: readonly Layer[],
  read: (path: ByteString, header: TarHeader, body: Bytes) => Promise<F>,
  signal?: AbortSignal,
): Promise<LayerTree<F>> {
  const root = treeRoot<F | undefined>();
  for (const layer of layers) {
    const whiteouts: Whiteout[] = [];
    const entries: (TreeItem<F> & { readonly path: ByteString })[] = [];
    for await (const { header, body } of readTar(abortable(layer.open("tar"), signal), { end: "optional" })) {
      const path = entryPath(header.name);
      const whiteout = whiteoutOf(path);
      if (whiteout) whiteouts.push(whiteout);
      else entries.push({ path, header, file: header.type === "file" ? await read(path, header, body) : undefined });
    }
    apply(root, whiteouts, entries);
  }
  return { find: (path) => findNode(root, path)?.item, items: () => eachItem(root) };
}

/** A tree of items that are known already: what {@link LayerTree.items} gave, stored and read back. */
export function treeOf<F>(items: Iterable<readonly [ByteString, TreeItem<F>]>): LayerTree<F> {
  const root = treeRoot<F | undefined>();
  for (const [path, item] of items) putNode(root, path, item);
  return { find: (path) => findNode(root, path)?.item, items: () => eachItem(root) };
}

/** Whiteouts hide what is below, never what their own layer brings, wherever in it they stand. */
function apply<F>(
  root: TreeNode<F | undefined>,
  whiteouts: readonly Whiteout[],
  entries: readonly (TreeItem<F> & { readonly path: ByteString })[],
): void {
  for (const { kind, path } of whiteouts) {
    if (kind === "opaque") emptyNode(root, path);
    else removeNode(root, path);
  }
  for (const { path, header, file } of entries) {
    const item = header.type === "hardlink" ? findNode(root, entryPath(header.linkname))?.item : { header, file };
    if (!item)
      throw new OciError(
        "invalid",
        `${textOf(path)} is a hard link to ${textOf(header.linkname)}, which is not there`,
        "The layer is damaged.",
      );
    putNode(root, path, item);
  }
}
