import { describe, expect, test } from "vitest";
import { flatten } from "./flatten.ts";
import { type Layer, layerFromEntries } from "./layer.ts";
import { type TarHeader, tarHeader } from "./tar-entry.ts";

type Entry = { readonly header: TarHeader; readonly body?: Uint8Array };

const file = (name: string, content = "", fields: Partial<TarHeader> = {}): Entry => ({
  header: tarHeader({ name, type: "file", size: content.length, ...fields }),
  body: Buffer.from(content),
});
const directory = (name: string, mode = 0o755): Entry => ({ header: tarHeader({ name, type: "directory", mode }) });
const link = (type: "symlink" | "hardlink", name: string, linkname: string): Entry => ({
  header: tarHeader({ name, type, linkname }),
});

async function paths(...layers: readonly (readonly Entry[])[]): Promise<readonly string[]> {
  return [...(await flatten(layers.map((entries): Layer => layerFromEntries(entries)))).keys()];
}

describe("layers on top of each other", () => {
  test("a whiteout hides a file or a whole directory", async () => {
    const base = [directory("a"), file("a/1"), file("a/2"), directory("b"), file("b/3")];
    expect(await paths(base, [file("a/.wh.1"), file(".wh.b")])).toEqual(["a", "a/2"]);
  });

  test("an opaque directory hides what was in it, and nothing of its own layer, wherever the mark stands", async () => {
    const base = [directory("a"), file("a/old"), directory("a/dir"), file("a/dir/old")];
    const upper = [directory("a", 0o700), file("a/new"), file("a/.wh..wh..opq")];
    expect(await paths(base, upper)).toEqual(["a", "a/new"]);
  });

  test("a whiteout in the layer that adds the path again hides only the old one", async () => {
    const flat = await flatten([
      layerFromEntries([file("x", "old")]),
      layerFromEntries([file("x", "newer"), file(".wh.x")]),
    ]);
    expect(flat.get("x")?.size).toBe(5);
  });

  test("a directory keeps its contents under new metadata; a file in its place does not", async () => {
    const base = [directory("a"), file("a/1")];
    expect((await flatten([layerFromEntries(base), layerFromEntries([directory("a", 0o700)])])).get("a")?.mode).toBe(
      0o700,
    );
    expect(await paths(base, [directory("a", 0o700)])).toEqual(["a", "a/1"]);
    expect(await paths(base, [file("a")])).toEqual(["a"]);
    expect(await paths([file("a")], [directory("a"), file("a/1")])).toEqual(["a", "a/1"]);
  });

  test("entries follow the symlinks of lower layers, as in a chroot", async () => {
    const base = [
      directory("usr"),
      directory("usr/bin"),
      link("symlink", "bin", "usr/bin"),
      link("symlink", "abs", "/../../usr"),
    ];
    expect(await paths(base, [file("bin/tool"), file("abs/data")])).toEqual([
      "abs",
      "bin",
      "usr",
      "usr/bin",
      "usr/bin/tool",
      "usr/data",
    ]);
    expect(await paths(base, [file("bin/tool")], [file("bin/.wh.tool")])).not.toContain("usr/bin/tool");
  });

  test("names of one file know each other, until a layer replaces one", async () => {
    const base = [file("a", "same"), link("hardlink", "b", "a"), link("hardlink", "c", "a")];
    const flat = await flatten([layerFromEntries(base)]);
    expect([...flat.values()].map((entry) => [entry.type, entry.sharedWith])).toEqual([
      ["file", "a"],
      ["file", "a"],
      ["file", "a"],
    ]);
    const after = await flatten([layerFromEntries(base), layerFromEntries([file("a", "other")])]);
    expect([...after].map(([path, entry]) => [path, entry.sharedWith, entry.size])).toEqual([
      ["a", undefined, 5],
      ["b", "b", 4],
      ["c", "b", 4],
    ]);
  });

  test("a hard link to nothing is an error that names both", async () => {
    await expect(paths([link("hardlink", "b", "gone")])).rejects.toThrow(/b is a hard link to gone/);
  });

  test("everything that is compared between two trees is told", async () => {
    const entries = [
      file("f", "content", {
        mode: 0o4755,
        uid: 3,
        gid: 4,
        mtime: 5n,
        xattrs: new Map([["user.x", Uint8Array.of(0, 255)]]),
      }),
      link("symlink", "l", "f"),
      { header: tarHeader({ name: "n", type: "character", major: 1, minor: 3 }) },
    ];
    const flat = await flatten([layerFromEntries(entries)]);
    expect(flat.get("f")).toEqual({
      type: "file",
      mode: 0o4755,
      uid: 3,
      gid: 4,
      size: 7,
      mtime: 5n,
      xattrs: { "user.x": "AP8=" },
      sha256: "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73",
    });
    expect(flat.get("l")).toMatchObject({ type: "symlink", linkname: "f" });
    expect(flat.get("n")).toMatchObject({ type: "character", device: "1:3" });
  });
});
