import type { ByteString, TarHeader } from "./tar-entry.ts";
import { baseName, parentPath } from "./tar-path.ts";

/** A file system in memory: names and what is known of each. Files are shared between the names of a hard link. */
export interface TreeNode<F> {
  /** undefined: a directory that no entry describes, only paths beneath it. */
  item: { readonly header: TarHeader; readonly file: F } | undefined;
  children: Map<ByteString, TreeNode<F>>;
}

export function treeRoot<F>(): TreeNode<F> {
  return { item: undefined, children: new Map() };
}

/** The node at a path. Symlinks on the way are followed as in a chroot, the last component is not. undefined: not there. */
export function findNode<F>(root: TreeNode<F>, path: ByteString): TreeNode<F> | undefined {
  const parent = walk(root, parentPath(path), false);
  return path === "" ? root : parent?.children.get(baseName(path));
}

/** Puts an item at a path, making its parents. A directory keeps what is beneath it when a directory takes its place. */
export function putNode<F>(root: TreeNode<F>, path: ByteString, item: NonNullable<TreeNode<F>["item"]>): void {
  if (path === "") {
    root.item = item;
    return;
  }
  const parent = walk(root, parentPath(path), true) as TreeNode<F>;
  const existing = parent.children.get(baseName(path));
  const keeps = existing && item.header.type === "directory" && isDirectory(existing);
  parent.children.set(baseName(path), { item, children: keeps ? existing.children : new Map() });
}

export function removeNode<F>(root: TreeNode<F>, path: ByteString): void {
  walk(root, parentPath(path), false)?.children.delete(baseName(path));
}

/** Removes what is beneath a directory. */
export function emptyNode<F>(root: TreeNode<F>, path: ByteString): void {
  walk(root, path, false)?.children.clear();
}

export function isDirectory<F>(node: TreeNode<F>): boolean {
  return node.item === undefined || node.item.header.type === "directory";
}

/** Every item in byte order of its components, parents first. */
export function* eachItem<F>(
  node: TreeNode<F>,
  path: ByteString = "",
): Generator<readonly [ByteString, NonNullable<TreeNode<F>["item"]>]> {
  if (node.item) yield [path, node.item];
  const names = [...node.children.keys()].sort();
  for (const name of names)
    yield* eachItem(node.children.get(name) as TreeNode<F>, path === "" ? name : `${path}/${name}`);
}

/** The directory at a path, all symlinks followed; with `make`, whatever is missing or in the way becomes a directory. */
function walk<F>(root: TreeNode<F>, path: ByteString, make: boolean): TreeNode<F> | undefined {
  let pending = path.split("/");
  const trail: TreeNode<F>[] = [root];
  for (let links = 0; pending.length > 0; ) {
    const [name = "", ...rest] = pending;
    pending = rest;
    if (name === "" || name === ".") continue;
    if (name === "..") {
      if (trail.length > 1) trail.pop();
      continue;
    }
    const here = trail.at(-1) as TreeNode<F>;
    let next = here.children.get(name);
    const target = next?.item?.header.type === "symlink" ? next.item.header.linkname : undefined;
    if (target !== undefined && ++links <= 40) {
      if (target.startsWith("/")) trail.length = 1;
      pending = [...target.split("/"), ...rest];
      continue;
    }
    if (!next || !isDirectory(next)) {
      if (!make) return undefined;
      next = { item: undefined, children: new Map() };
      here.children.set(name, next);
    }
    trail.push(next);
  }
  return trail.at(-1);
}
