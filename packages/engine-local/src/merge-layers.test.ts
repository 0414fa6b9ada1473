import {
  byteString,
  bytesOf,
  collect,
  flatten,
  layerFromBytes,
  readTar,
  tarHeader,
  tarOf,
  writeTar,
} from "@melange2/oci";
import { expect, it } from "vitest";
import { mergeLayers } from "./merge-layers.ts";

type Entry = Parameters<typeof tarOf>[0] extends Iterable<infer E> ? E : never;

const file = (name: string, content: string): Entry => ({
  header: tarHeader({ name: byteString(name), type: "file", size: content.length }),
  body: Buffer.from(content),
});
const folder = (name: string, mode = 0o755): Entry => ({ header: tarHeader({ name, type: "directory", mode }) });
const link = (name: string, linkname: string): Entry => ({ header: tarHeader({ name, type: "hardlink", linkname }) });
const gone = (path: string): Entry => {
  const slash = path.lastIndexOf("/") + 1;
  return file(`${path.slice(0, slash)}.wh.${path.slice(slash)}`, "");
};

/** The trees that the layers make on the base one by one, and merged, must be the same. */
async function expectSame(base: readonly Entry[], layers: readonly (readonly Entry[])[]): Promise<void> {
  const tars = layers.map((entries) => tarOf(entries));
  const merged = await collect(writeTar(mergeLayers(tars.map((tar) => () => readTar(bytesOf(tar))))), 1e8, "merged");
  const below = layerFromBytes(tarOf(base));
  const expected = await flatten([below, ...tars.map((tar) => layerFromBytes(tar))]);
  const found = await flatten([below, layerFromBytes(merged)]);
  expect([...found]).toEqual([...expected]);
}

const base = [
  folder("d"),
  file("d/a", "base a"),
  file("d/b", "base b"),
  folder("d/sub"),
  file("d/sub/x", "x"),
  file("f", "f"),
];

it("later content wins, deletions of the base stay", () =>
  expectSame(base, [
    [folder("d"), file("d/a", "one"), file("new", "n"), gone("f")],
    [folder("d", 0o700), file("d/a", "two"), gone("d/b")],
  ]));

it("what one layer brings and another deletes is gone, with all beneath", () =>
  expectSame(base, [[folder("t"), folder("t/u"), file("t/u/v", "v"), file("t/w", "w")], [gone("t")]]));

it("a directory made where one was deleted does not bring back the old content", async () => {
  await expectSame(base, [[gone("d")], [folder("d"), file("d/.wh..wh..opq", ""), file("d/c", "c")]]);
  await expectSame(base, [[gone("d")], [folder("d"), file("d/c", "c")]]);
});

it("a file replaces a directory and a directory a file", async () => {
  await expectSame(base, [[file("d", "now a file")], [gone("d")], [folder("d"), file("d/z", "z")]]);
  await expectSame(base, [[gone("f")], [folder("f"), file("f/in", "in")]]);
});

it("a deleted path made again is there again", () => expectSame(base, [[gone("f")], [file("f", "again")]]));

it("a link keeps the content that its other name lost", () =>
  expectSame(base, [
    [file("one", "shared"), link("two", "one"), link("three", "one")],
    [file("one", "changed")],
    [gone("three")],
  ]));

it("links stay links, also when the first name goes", () =>
  expectSame(base, [[file("one", "shared"), link("two", "one"), link("three", "one")], [gone("one")]]));

it("random histories come out the same", async () => {
  let state = 42;
  const next = (limit: number) => {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    return (state >> 8) % limit;
  };
  for (let round = 0; round < 150; round++) {
    const tree = new Map<string, "file" | "folder">([
      ["d", "folder"],
      ["d/a", "file"],
      ["d/b", "file"],
      ["d/sub", "folder"],
      ["d/sub/x", "file"],
      ["f", "file"],
    ]);
    const layers = Array.from({ length: 2 + next(5) }, (_, layer) => {
      const made = new Map<string, Entry>();
      const parents = (path: string) => {
        for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1)) {
          const parent = path.slice(0, at);
          if (!made.has(parent)) made.set(parent, folder(parent, 0o700 + next(0o100)));
        }
      };
      for (let change = 0; change < 1 + next(4); change++) {
        const folders = ["", ...[...tree].filter(([, kind]) => kind === "folder").map(([path]) => path)];
        const where = folders[next(folders.length)] as string;
        const path = `${where}${where === "" ? "" : "/"}${"abfxd"[next(5)]}`;
        // One layer changes a path once: that is what overlay makes of it.
        if ([...made.keys()].some((other) => other === path || other.startsWith(`${path}/`))) continue;
        const existing = tree.get(path);
        parents(path);
        if (existing !== undefined && next(2) === 0) {
          for (const other of [...tree.keys()]) if (other === path || other.startsWith(`${path}/`)) tree.delete(other);
          made.set(path, gone(path));
        } else if (existing === undefined && next(2) === 0) {
          tree.set(path, "folder");
          made.set(path, folder(path));
          made.set(`${path}/.wh..wh..opq`, file(`${path}/.wh..wh..opq`, ""));
        } else if (existing !== "folder") {
          tree.set(path, "file");
          made.set(path, file(path, `${round}.${layer}.${change}`));
        }
      }
      return [...made.values()];
    });
    await expectSame(base, layers);
  }
});
