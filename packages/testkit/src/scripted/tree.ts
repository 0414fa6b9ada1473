import type { Layer } from "@melange2/core";
import {
  baseName,
  byteString,
  collect,
  entryPath,
  parentPath,
  readTar,
  type TarHeader,
  tarHeader,
} from "@melange2/oci";

export interface TreeEntry {
  /** `name` is not looked at: the tree's key is. */
  readonly header: TarHeader;
  readonly body: Uint8Array;
}

/** A filesystem by path, without slashes at the ends: `home/build/hello`. Immutable: every change makes another. */
export type Tree = ReadonlyMap<string, TreeEntry>;

const whiteout = ".wh.";
const opaque = ".wh..wh..opq";
const largestFile = 1 << 30;

/** What layers look like one above another. */
export async function treeOf(layers: readonly Layer[]): Promise<Tree> {
  const tree = new Map<string, TreeEntry>();
  for (const layer of layers) {
    for await (const { header, body } of readTar(layer.open("tar"))) {
      const path = entryPath(header.name);
      if (path === "") continue;
      const name = baseName(path);
      const folder = parentPath(path);
      if (name === opaque) removeBeneath(tree, folder);
      else if (name.startsWith(whiteout)) remove(tree, joined(folder, name.slice(whiteout.length)));
      else {
        if (header.type !== "directory") remove(tree, path);
        tree.set(path, { header, body: await collect(body, largestFile, path) });
      }
    }
  }
  return tree;
}

/** The entries of the layer that turns `before` into `after`, parents first. */
export function layerEntries(before: Tree, after: Tree): readonly TreeEntry[] {
  const removed = [...before.keys()]
    .filter((path) => !after.has(path) && (parentPath(path) === "" || after.has(parentPath(path))))
    .map((path): readonly [string, TreeEntry] => {
      const name = joined(parentPath(path), `${whiteout}${baseName(path)}`);
      return [name, { header: tarHeader({ name, type: "file" }), body: new Uint8Array(0) }];
    });
  const changed = [...after].filter(([path, entry]) => before.get(path) !== entry);
  return [...removed, ...changed]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, { header, body }]) => ({ header: { ...header, name: path }, body }));
}

/** What is at `path`, under its own name; the whole tree, under no name, for the root. Empty where there is nothing. */
export function subtree(tree: Tree, path: string): readonly TreeEntry[] {
  const root = byteString(path.replace(/^\/+|\/+$/g, ""));
  const parent = parentPath(root);
  const drop = parent === "" ? 0 : parent.length + 1;
  return [...tree]
    .filter(([key]) => root === "" || key === root || key.startsWith(`${root}/`))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, { header, body }]) => ({ header: { ...header, name: key.slice(drop) }, body }));
}

/** What a scripted step does to its filesystem. Paths as in a shell, `/home/build/hello`; names in UTF-8. */
export interface WorkingTree {
  /** Makes missing parent directories, owned by root. */
  write(
    path: string,
    content: string | Uint8Array,
    attributes?: Partial<Pick<TarHeader, "mode" | "uid" | "gid">>,
  ): void;
  /** With everything beneath; nothing there is not an error. */
  remove(path: string): void;
  /** undefined: no such file. */
  read(path: string): string | undefined;
  /** All paths, sorted. */
  list(): readonly string[];
}

/** A copy to work on, and the tree it has become. */
export function workingTree(from: Tree): WorkingTree & { readonly current: Tree } {
  const tree = new Map(from);
  const key = (path: string) => byteString(path.replace(/^\/+|\/+$/g, ""));
  return {
    get current() {
      return new Map(tree);
    },
    write(path, content, attributes = {}) {
      const name = key(path);
      for (let at = name.indexOf("/"); at > 0; at = name.indexOf("/", at + 1)) {
        const parent = name.slice(0, at);
        if (!tree.has(parent))
          tree.set(parent, { header: tarHeader({ name: parent, type: "directory" }), body: new Uint8Array(0) });
      }
      const body = typeof content === "string" ? new TextEncoder().encode(content) : content;
      tree.set(name, { header: tarHeader({ ...attributes, name, type: "file", size: body.length }), body });
    },
    remove: (path) => remove(tree, key(path)),
    read(path) {
      const entry = tree.get(key(path));
      return entry?.header.type === "file" ? new TextDecoder().decode(entry.body) : undefined;
    },
    list: () => [...tree.keys()].sort().map((path) => `/${Buffer.from(path, "latin1").toString("utf8")}`),
  };
}

function remove(tree: Map<string, TreeEntry>, path: string): void {
  tree.delete(path);
  removeBeneath(tree, path);
}

function removeBeneath(tree: Map<string, TreeEntry>, path: string): void {
  for (const key of [...tree.keys()]) if (key.startsWith(`${path}/`)) tree.delete(key);
}

function joined(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}
