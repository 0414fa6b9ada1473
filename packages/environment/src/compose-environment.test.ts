import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { type Environment, MelangeError } from "@melange2/core";
import { buildImageConfig, flatten, type Layer, layerFromEntries, tarHeader, validateImage } from "@melange2/oci";
import { describe, expect, test } from "vitest";
import { amd64, plant, scratch } from "../test/scratch.ts";
import { type ComposeOptions, composeEnvironment } from "./compose-environment.ts";
import type { EnvironmentRequest } from "./environment-request.ts";
import { sourceFiles } from "./source-files.ts";

const plain: EnvironmentRequest = {
  packages: [],
  users: [],
  groups: [],
  runAs: "",
  directories: [],
};
const build = { name: "build", uid: 1000, gid: 1000, shell: "/bin/sh", home: "/home/build" };
const epoch = 1_700_000_000;
const epochNs = BigInt(epoch) * 1_000_000_000n;

type Entry = Parameters<typeof tarHeader>[0] & { readonly text?: string };

function base(...entries: readonly Entry[]): Environment {
  const layer = layerFromEntries(
    entries.map(({ text = "", ...fields }) => ({
      header: tarHeader({ ...fields, size: text.length }),
      body: Buffer.from(text),
    })),
  );
  return { platform: amd64, config: { Env: ["A=1"] }, layers: [layer] };
}

const debianLike = base(
  { name: "etc", type: "directory", mode: 0o711, uid: 5, mtime: 7n },
  {
    name: "etc/passwd",
    type: "file",
    text: "root:x:0:0:root:/root:/bin/sh\nbuild:x:33:33::/old:/bin/false\nnet:x:7:70::/:/bin/sh\n",
  },
  { name: "etc/group", type: "file", text: "root:x:0:\n" },
  { name: "etc/shadow", type: "file", mode: 0o640, gid: 42, text: "root:*:::::::" },
  { name: "home", type: "directory", mode: 0o755 },
);

async function compose(
  request: Partial<EnvironmentRequest>,
  more: Partial<ComposeOptions> & { readonly source?: string } = {},
) {
  const { source, ...options } = more;
  const composed = await composeEnvironment({
    base: debianLike,
    request: { ...plain, ...request },
    workspace: { path: "/home/build", sourceDirectory: source },
    sourceDateEpoch: epoch,
    cacheDirectory: join(scratch(), "cache"),
    signal: new AbortController().signal,
    ...options,
  });
  const { layers } = composed.environment;
  const { content } = buildImageConfig({
    platform: amd64,
    config: {},
    diffIds: layers.map((layer) => layer.diffId),
    history: layers.map(() => "x"),
    created: "2026-01-01T00:00:00Z",
  });
  expect(await validateImage({ config: content, layers: layers as readonly Layer[] })).toEqual([]);
  return { ...composed, tree: await flatten(layers), added: await flatten(layers.slice(1)), layers };
}

async function textOf(layers: readonly Layer[], path: string): Promise<string> {
  const { readLayers, collect } = await import("@melange2/oci");
  const tree = await readLayers(layers, async (_path, _header, body) =>
    Buffer.from(await collect(body, 1 << 20, "file")).toString(),
  );
  return tree.find(path)?.file ?? "";
}

describe("accounts", () => {
  test("are appended to the base's files, whose owner and mode stay; a name means what the recipe says", async () => {
    const groups = [{ name: "build", gid: 1000, members: ["build", "other"] }];
    const { layers, tree, user } = await compose({
      users: [build, { ...build, name: "other", uid: 1001, home: "", shell: "" }],
      groups,
      runAs: "build",
    });
    expect(await textOf(layers, "etc/passwd")).toBe(
      "root:x:0:0:root:/root:/bin/sh\nnet:x:7:70::/:/bin/sh\nbuild:x:1000:1000:Account created by melange2:/home/build:/bin/sh\nother:x:1001:1000:Account created by melange2:/home/other:/bin/sh\n",
    );
    expect(await textOf(layers, "etc/group")).toBe("root:x:0:\nbuild:x:1000:build,other\n");
    expect(await textOf(layers, "etc/shadow")).toBe("root:*:::::::\nbuild:!:::::::\nother:!:::::::\n");
    expect(tree.get("etc/shadow")).toMatchObject({ mode: 0o640, gid: 42 });
    expect(tree.get("etc")).toMatchObject({ mode: 0o711, uid: 5, mtime: 7n });
    expect(tree.get("home/other")).toMatchObject({ type: "directory", mode: 0o700, uid: 1001, gid: 1000 });
    expect(user).toEqual({ uid: 1000, gid: 1000 });
  });

  test("no accounts, no layer; a base without files gets root as well", async () => {
    expect((await compose({})).layers).toHaveLength(2);
    const { layers } = await compose({ users: [build] }, { base: base({ name: "bin", type: "directory" }) });
    expect(await textOf(layers, "etc/passwd")).toMatch(/^root:x:0:0:.*\nbuild:x:1000:1000:/);
  });

  test("a home that the base has stays as it is", async () => {
    const owned = base({ name: "srv", type: "directory", mode: 0o711, uid: 3 });
    const { tree } = await compose(
      {
        users: [
          { ...build, home: "/srv" },
          { ...build, name: "b2", home: "/" },
        ],
      },
      { base: owned },
    );
    expect(tree.get("srv")).toMatchObject({ mode: 0o711, uid: 3 });
    expect(tree.has("")).toBe(false);
  });

  test.each([
    ["a second root", { ...build, uid: 0 }, /root is there already/],
    ["a colon in a home", { ...build, home: "/a:b" }, /holds a colon/],
    ["a line break in a name", { ...build, name: "a\nroot" }, /holds a colon or a line break/],
  ])("%s is refused", async (_what, user, message) => {
    await expect(compose({ users: [user] })).rejects.toMatchObject({
      code: "recipe",
      message: expect.stringMatching(message),
    });
  });

  test.each([
    ["", 0, 0],
    ["root", 0, 0],
    ["build", 1000, 1000],
    ["net", 7, 70],
    ["7", 7, 70],
    ["4711", 4711, 4711],
    ["12:34", 12, 34],
  ])("run-as %j is %d:%d", async (runAs, uid, gid) => {
    expect((await compose({ users: [build], runAs })).user).toEqual({ uid, gid });
  });

  test("run-as names nobody", async () => {
    await expect(compose({ users: [build], runAs: "nobdoy" })).rejects.toMatchObject({
      code: "recipe",
      message: expect.stringContaining('"nobdoy"'),
      hint: expect.stringContaining("root, net, build"),
    });
  });
});

describe("workspace", () => {
  test("holds the source directory's regular files with their modes, the step user's, and the directories asked for", async () => {
    const source = plant(scratch(), {
      "fix.patch": "p",
      "sub/deep/run.sh": "r",
      "empty/": "",
      "melange-out/old/file": "o",
    });
    execFileSync(
      "sh",
      ["-c", "chmod 400 fix.patch; chmod 755 sub/deep/run.sh; ln -s fix.patch link; mkfifo pipe; chmod 700 sub"],
      { cwd: source },
    );
    const { added, tree } = await compose(
      { users: [build], runAs: "build", directories: ["/home/build/melange-out/pkg"] },
      { source },
    );
    const workspace = [...added]
      .filter(([path]) => path.startsWith("home/build"))
      .map(([path, entry]) => [path.slice(5), entry.type, entry.mode.toString(8), entry.uid, entry.gid, entry.mtime]);
    expect(workspace).toEqual([
      ["build", "directory", "755", 1000, 1000, epochNs],
      ["build/fix.patch", "file", "400", 1000, 1000, epochNs],
      ["build/melange-out", "directory", "755", 1000, 1000, epochNs],
      ["build/melange-out/pkg", "directory", "755", 1000, 1000, epochNs],
      ["build/sub", "directory", "755", 1000, 1000, epochNs],
      ["build/sub/deep", "directory", "755", 1000, 1000, epochNs],
      ["build/sub/deep/run.sh", "file", "755", 1000, 1000, epochNs],
    ]);
    expect(tree.get("home")).toMatchObject({ uid: 0, mode: 0o755 });
  });

  test("a walk that is broken off says why, not that something cannot be read", async () => {
    const reason = new MelangeError("interrupted", "interrupted", { hint: "Start it again." });
    await expect(sourceFiles(scratch(), [], AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  test(".melangeignore: patterns as in gitignore, in subfolders too; the file itself comes along", async () => {
    const source = plant(scratch(), {
      ".melangeignore": "*.o\n/build/\n!keep.o\nnotes\n",
      "a.o": "",
      "keep.o": "",
      "sub/b.o": "",
      "sub/c.c": "",
      "build/x": "",
      "sub/build/y": "",
      "sub/notes/z": "",
    });
    const { added } = await compose({}, { source });
    const files = [...added]
      .filter(([path, { type }]) => type === "file" && path.startsWith("home/build/"))
      .map(([path]) => path.slice("home/build/".length));
    expect(files).toEqual([".melangeignore", "keep.o", "sub/build/y", "sub/c.c"]);
  });

  test("its digest depends on names, modes and content, not on times or where it is", async () => {
    const files = { "a.txt": "a", "d/b.txt": "b" };
    const one = plant(scratch(), files);
    const two = plant(scratch(), files);
    utimesSync(join(two, "a.txt"), new Date(0), new Date(1));
    const digest = async (source: string, more = {}) =>
      (await compose({ users: [build] }, { source, ...more })).layers.at(-1)?.diffId;
    expect(await digest(two)).toBe(await digest(one));
    plant(two, { "a.txt": "changed" });
    expect(await digest(two)).not.toBe(await digest(one));
    expect(await digest(one, { sourceDateEpoch: epoch + 1 })).not.toBe(await digest(one));
  });

  test("no file is older than zip can say", async () => {
    const { added } = await compose({}, { source: plant(scratch(), { a: "" }), sourceDateEpoch: 0 });
    expect(added.get("home/build/a")?.mtime).toBe(315_619_200n * 1_000_000_000n);
  });

  test("names that are not UTF-8, and the cache inside the source directory", async () => {
    const source = plant(scratch(), { "cache/": "" });
    execFileSync("sh", ["-c", "printf x > \"$(printf 'bad\\377name')\""], { cwd: source });
    const { added } = await compose({}, { source, cacheDirectory: join(source, "cache") });
    expect([...added.keys()]).toEqual(["home", "home/build", "home/build/bad\xffname"]);
  });

  test("what melange2 wrote is no source, by any path that leads to it", async () => {
    const files = {
      "out/x86_64/": "",
      "out/mine": "",
      "debug.tar": "",
      "debug.tar.md": "",
      "deep/.melange2-0a.part": "",
    };
    const source = plant(scratch(), files);
    const alias = join(scratch(), "alias");
    symlinkSync(source, alias);
    const leaveOut = [join(alias, "debug.tar"), join(source, "out/x86_64"), join(source, "never-made")];
    const workspace = { path: "/home/build", sourceDirectory: source, leaveOut };
    const { added } = await compose({}, { workspace });
    expect([...added].filter(([, { type }]) => type === "file").map(([path]) => path)).toEqual([
      "home/build/debug.tar.md",
      "home/build/out/mine",
    ]);
  });

  test("what is no regular file is named, unless .melangeignore names it; hard links become files", async () => {
    const source = plant(scratch(), { a: "x", "d/f": "y", ".melangeignore": "ignored*\n" });
    execFileSync("sh", ["-c", "ln -s a link; ln -s nowhere d/dangling; ln -s a ignored; ln a hard; mkfifo pipe"], {
      cwd: source,
    });
    const { added, leftOut } = await compose({}, { source });
    expect(leftOut).toEqual([
      { path: "d/dangling", kind: "link" },
      { path: "link", kind: "link" },
      { path: "pipe", kind: "FIFO" },
    ]);
    expect([added.get("home/build/a")?.type, added.get("home/build/hard")?.type]).toEqual(["file", "file"]);
  });

  test("symlinks of the base on the way are followed, never hidden", async () => {
    const linked = base(
      { name: "var/home", type: "directory", mode: 0o711 },
      { name: "home", type: "symlink", linkname: "/var/home" },
    );
    const { tree, added } = await compose(
      { users: [build, { ...build, name: "other", home: "/home/other" }] },
      { base: linked, source: plant(scratch(), { f: "x" }) },
    );
    expect(tree.get("home")).toMatchObject({ type: "symlink" });
    expect(tree.get("var/home")).toMatchObject({ mode: 0o711 });
    expect(added.has("home")).toBe(false);
    expect(tree.get("var/home/build/f")?.type).toBe("file");
    expect(tree.get("var/home/other")?.mode).toBe(0o700);
  });

  test("what stands in the way is named", async () => {
    await expect(
      compose({}, { base: base({ name: "home", type: "symlink", linkname: "home" }) }),
    ).rejects.toMatchObject({ code: "environment", message: expect.stringContaining("in a circle") });
    const linked = base({ name: "etc/passwd", type: "symlink", linkname: "../usr/passwd" });
    await expect(compose({ users: [build] }, { base: linked })).rejects.toMatchObject({
      code: "environment",
      message: expect.stringContaining("/etc/passwd is a symlink"),
    });
    await expect(compose({ directories: ["/home/build/../x"] })).rejects.toMatchObject({ code: "recipe" });
    await expect(compose({}, { source: "/nowhere/at/all" })).rejects.toMatchObject({
      code: "environment",
      message: expect.stringContaining("/nowhere/at/all"),
    });
  });

  test("a symlink to the source directory is fine, symlinks in it lead nowhere", async () => {
    const real = plant(scratch(), { inside: "x" });
    symlinkSync("/etc", join(real, "escape"));
    const link = join(scratch(), "link");
    symlinkSync(real, link);
    expect([...(await compose({}, { source: link })).added.keys()]).toEqual([
      "home",
      "home/build",
      "home/build/inside",
    ]);
  });
});

describe("what the base lacks", () => {
  const apk = (place: string) =>
    base({
      name: place,
      type: "file",
      text: "C:Q1x\nP:busybox\nV:1.36.1-r2\np:cmd:sh=1.36.1-r2 cmd:awk=1.36.1-r2 so:libx.so.1=1.2\n\nP:glibc\nV:2.40-r0\np:so:libc.so.6=6\nF:lib\nR:P:trap\n\n",
    });

  test.each(["lib/apk/db/installed", "usr/lib/apk/db/installed"])("apk, in %s", async (place) => {
    const packages = [
      "busybox",
      "glibc=2.40-r0",
      "glibc=2.41-r0",
      "glibc~2.40",
      "glibc~2.4",
      "busybox~1.36",
      "so:libc.so.6",
      "cmd:sh",
      "cmd:make",
      "so:libz.so.1",
      "glibc>2",
      "trap",
      "!busybox",
      "!bash",
      "glibc@edge",
      "cmd:make",
    ];
    const { missingPackages } = await compose({ packages }, { base: apk(place) });
    expect(missingPackages).toMatchObject({
      database: "apk",
      atoms: ["glibc=2.41-r0", "glibc~2.4", "cmd:make", "so:libz.so.1", "trap", "!busybox"],
    });
  });

  test("dpkg: by name, only what is installed, Provides too", async () => {
    const status =
      "Package: make\nStatus: install ok installed\nVersion: 4.3\n\nPackage: mawk\nStatus: install ok installed\nProvides: awk (= 1), x\n\nPackage: gone\nStatus: deinstall ok config-files\n";
    const { missingPackages } = await compose(
      { packages: ["make=9", "awk", "x", "gone", "gcc"] },
      { base: base({ name: "var/lib/dpkg/status", type: "file", text: status }) },
    );
    expect(missingPackages).toMatchObject({
      database: "dpkg",
      atoms: ["gone", "gcc"],
      note: expect.stringContaining("by name alone"),
    });
  });

  test("no database: everything is listed, and why", async () => {
    const { missingPackages } = await compose({ packages: ["a", "b"] });
    expect(missingPackages).toMatchObject({
      database: "none",
      atoms: ["a", "b"],
      note: expect.stringContaining("no package database"),
    });
  });

  test("a database that an upper layer deleted is not read", async () => {
    const whiteout = layerFromEntries([{ header: tarHeader({ name: "lib/apk/db/.wh.installed", type: "file" }) }]);
    const lower = apk("lib/apk/db/installed");
    const { missingPackages } = await compose(
      { packages: ["busybox"] },
      { base: { ...lower, layers: [...lower.layers, whiteout] } },
    );
    expect(missingPackages.database).toBe("none");
  });
});

test("what is known of a base is remembered, and the same again", async () => {
  const cacheDirectory = join(scratch(), "cache");
  mkdirSync(cacheDirectory);
  let reads = 0;
  const [layer] = debianLike.layers as [Layer];
  const watched = {
    ...debianLike,
    layers: [
      {
        ...layer,
        open: (as: "tar" | "blob") => {
          reads += 1;
          return layer.open(as);
        },
      },
    ],
  };
  const options = { base: watched, cacheDirectory } as const;
  const compositions = [];
  for (let round = 0; round < 2; round++) {
    compositions.push(
      (
        await composeEnvironment({
          ...options,
          request: { ...plain, users: [build], packages: ["x"] },
          workspace: { path: "/home/build" },
          sourceDateEpoch: epoch,
          signal: new AbortController().signal,
        })
      ).environment.layers.map((one) => one.diffId),
    );
  }
  expect(compositions[1]).toEqual(compositions[0]);
  expect(reads).toBe(1);
});
