import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createUniverse, publicKey, readIndexArchive, resolveEnvironment } from "@melange2/apk";
import { collect, readLayers, textOf } from "@melange2/oci";
import {
  type MadeFile,
  type MadePackage,
  makePackage,
  type PackageSpec,
} from "@melange2-tooling/fixtures/apk-packages";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { apkDatabase, type InstallOptions, installPackages, mostPackageLayers } from "../src/index.ts";

const { signal } = new AbortController();
const platform = { os: "linux", architecture: "amd64" };
const nothing = { platform, config: {}, layers: [] };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "melange2-install-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function installed(packages: readonly MadePackage[], options: Partial<InstallOptions> = {}) {
  const sources = await Promise.all(
    packages.map(async ({ file, bytes, checksum }) => {
      const path = join(folder, file);
      await writeFile(path, bytes);
      return { path, what: file, checksum };
    }),
  );
  return installPackages({
    packages: sources,
    base: nothing,
    world: [],
    repositories: [],
    keys: [],
    arch: "x86_64",
    sourceDateEpoch: 0,
    cacheDirectory: join(folder, "cache"),
    signal,
    ...options,
  });
}

interface Found {
  readonly type: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly linkname: string;
  readonly text: string | undefined;
  readonly xattrs: Readonly<Record<string, string>>;
}

async function treeOf({
  environment,
}: Awaited<ReturnType<typeof installed>>): Promise<Readonly<Record<string, Found>>> {
  const tree = await readLayers(environment.layers, async (path, _header, body) =>
    Buffer.from(await collect(body, 1 << 28, path)).toString("utf8"),
  );
  return Object.fromEntries(
    [...tree.items()].map(([path, { header, file }]) => {
      const { type, mode, uid, gid, mtime, linkname, xattrs } = header;
      const hex = [...xattrs].map(([name, value]) => [name, Buffer.from(value).toString("hex")] as const);
      const found: Found = {
        type,
        mode: mode.toString(8).padStart(4, "0"),
        uid,
        gid,
        mtime: Number(mtime / 1_000_000_000n),
        linkname: textOf(linkname),
        text: file,
        xattrs: Object.fromEntries(hex),
      };
      return [textOf(path), found];
    }),
  );
}

const made = (name: string, files: readonly MadeFile[], more: Partial<PackageSpec> = {}) =>
  makePackage({ name, files, ...more });
const text = (content: string, name = "usr/share/x"): MadeFile => ({ name, content });

describe("two packages with one path", () => {
  test("that have the same content both go in, and the first has it", async () => {
    const folders: readonly MadeFile[] = ["usr", "usr/share"].map((name) => ({ name, type: "directory" }));
    const both = await installed([made("a", [...folders, text("same")]), made("b", [...folders, text("same")])]);
    const tree = await treeOf(both);
    expect(tree["usr/share/x"]?.text).toBe("same");
    const database = tree["usr/lib/apk/db/installed"]?.text ?? "";
    expect(database.match(/^R:x$/gm)).toHaveLength(1);
  });

  test.each<[string, Partial<PackageSpec>, Partial<PackageSpec>, string]>([
    ["the second, which replaces the first", {}, { lines: ["replaces = a"] }, "b"],
    ["the second, which replaces this version of the first", {}, { lines: ["replaces = a<2"] }, "b"],
    ["the first, which replaces the second", { lines: ["replaces = b"] }, {}, "a"],
    ["the second, of the same origin", { origin: "o" }, { origin: "o" }, "b"],
  ])("go in, and %s has it", async (_, first, second, winner) => {
    const tree = await treeOf(await installed([made("a", [text("a")], first), made("b", [text("b")], second)]));
    expect(tree["usr/share/x"]?.text).toBe(winner);
  });

  test.each<[string, readonly MadeFile[], readonly MadeFile[]]>([
    ["files that differ", [text("a")], [text("b")]],
    ["a folder and a file", [{ name: "usr/share/x", type: "directory" }], [text("b")]],
    ["a file and a folder", [text("a")], [{ name: "usr/share/x", type: "directory" }]],
    ["a file where another has a folder's content", [text("a")], [text("b", "usr/share/x/y")]],
    ["a link and a file", [{ name: "usr/share/x", type: "symlink", linkname: "y" }], [text("b")]],
  ])("conflict: %s", async (_, a, b) => {
    await expect(installed([made("a", a), made("b", b)])).rejects.toMatchObject({
      code: "environment",
      message: expect.stringMatching(/b-1\.0-r0 has .* at \/usr\/share\/x, where a-1\.0-r0 has/),
      hint: expect.stringContaining("replaces"),
    });
  });

  test("a replaced file that hard links lead to lives on under the first link", async () => {
    const linked = made("a", [
      text("a"),
      { name: "usr/share/one", type: "hardlink", linkname: "usr/share/x" },
      { name: "usr/share/two", type: "hardlink", linkname: "usr/share/x" },
    ]);
    const tree = await treeOf(await installed([linked, made("b", [text("b")], { lines: ["replaces = a"] })]));
    expect([tree["usr/share/x"]?.text, tree["usr/share/one"]?.text, tree["usr/share/two"]?.text]).toEqual([
      "b",
      "a",
      "a",
    ]);
  });
});

test("files go where links to folders lead, and never out of the root", async () => {
  const layout = made("layout", [
    { name: "usr", type: "directory" },
    { name: "usr/bin", type: "directory", mode: 0o711 },
    { name: "bin", type: "symlink", linkname: "usr/bin" },
    { name: "out", type: "symlink", linkname: "../../../usr/bin" },
  ]);
  const tools = made("tools", [{ name: "bin", type: "directory" }, text("sh", "bin/sh"), text("ls", "out/ls")]);
  const tree = await treeOf(await installed([layout, tools]));
  expect(tree.bin).toMatchObject({ type: "symlink", linkname: "usr/bin" });
  expect([tree["usr/bin/sh"]?.text, tree["usr/bin/ls"]?.text]).toEqual(["sh", "ls"]);
  expect(tree["usr/bin"]?.mode).toBe("0711");
});

test("a package that brings a database of its own is refused, and empty folders in its place give way", async () => {
  const evil = made("evil", [text("P:evil\n", "lib/apk/db/installed")]);
  await expect(installed([evil])).rejects.toMatchObject({
    code: "environment",
    message: "evil-1.0-r0 has a file at /lib/apk/db/installed, where apk's database is to be seen",
  });
  const empty = made(
    "empty",
    ["lib", "lib/apk", "lib/apk/db"].map((name) => ({ name, type: "directory" as const })),
  );
  expect((await treeOf(await installed([empty])))["lib/apk"]).toMatchObject({
    type: "symlink",
    linkname: "../usr/lib/apk",
  });
});

test("links that lead in a circle are refused", async () => {
  const circle = made("circle", [
    { name: "a", type: "symlink", linkname: "b" },
    { name: "b", type: "symlink", linkname: "a" },
    text("x", "a/x"),
  ]);
  await expect(installed([circle])).rejects.toMatchObject({
    code: "environment",
    message: expect.stringContaining("circle"),
  });
});

test("the same packages give the same layers, and a changed one costs its own", async () => {
  const many = Array.from({ length: 5 }, (_, index) => made(`p${index}`, [text(`${index}`, `usr/share/${index}`)]));
  const ids = async (packages: readonly MadePackage[], cacheDirectory?: string) =>
    (await installed(packages, cacheDirectory === undefined ? {} : { cacheDirectory })).environment.layers.map(
      ({ diffId }) => diffId,
    );
  const first = await ids(many);
  expect(first).toHaveLength(6);
  expect(await ids(many, join(folder, "another cache"))).toEqual(first);
  const changed = await ids(many.map((one, index) => (index === 2 ? made("p2", [text("new", "usr/share/2")]) : one)));
  expect(changed.map((id, index) => id === first[index])).toEqual([true, true, false, true, true, false]);
});

test("more packages than an image may have layers share one, and nothing changes in the tree", async () => {
  const count = mostPackageLayers + 20;
  const many = Array.from({ length: count }, (_, index) =>
    made(`p${index}`, [
      { name: "usr", type: "directory", mode: 0o755 },
      { name: "usr/share", type: "directory", mode: index === 0 ? 0o750 : 0o755 },
      text(`${index}`, `usr/share/${index}`),
    ]),
  );
  const all = await installed(many);
  expect(all.environment.layers).toHaveLength(mostPackageLayers + 1);
  const tree = await treeOf(all);
  expect(many.every((_, index) => tree[`usr/share/${index}`]?.text === `${index}`)).toBe(true);
  expect(tree["usr/share"]?.mode).toBe("0750");
});

test("a base with a database keeps its packages, and gets more", async () => {
  const base = await installed(
    [made("first", [text("1", "usr/share/1")], { scripts: { trigger: "x" }, lines: ["triggers = /usr/share"] })],
    {
      world: ["first=1.0-r0"],
    },
  );
  const more = await installed([made("second", [text("2", "usr/share/2")])], {
    base: base.environment,
    world: ["second=1.0-r0"],
  });
  const tree = await treeOf(more);
  expect((tree["usr/lib/apk/db/installed"]?.text ?? "").match(/^P:.*$/gm)).toEqual(["P:first", "P:second"]);
  expect(tree["etc/apk/world"]?.text).toBe("first=1.0-r0\nsecond=1.0-r0\n");
  expect(tree["usr/lib/apk/db/triggers"]?.text).toMatch(/^Q1\S+ \/usr\/share\n$/);
  const database = await apkDatabase(more.environment, { cacheDirectory: join(folder, "cache"), signal });
  expect(database?.missing(["first", "second", "third"])).toEqual(["third"]);
});

const minidist = fileURLToPath(new URL("../../../../shared/corpus/oracles/apk/minidist", import.meta.url));

interface Expected {
  readonly path: string;
  readonly type: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly linkname?: string;
  readonly text?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
}

describe("the trees that apko makes", () => {
  beforeEach(({ skip }) => skip(!existsSync(minidist), "there is no ../shared/corpus"));

  // docs/compatibility.md says why: owners, and setgid and sticky bits of folders, are kept as the packages have them; /dev is the engine's.
  const withOwners = new Set([
    "etc/shadow",
    "usr/bin/sgid",
    "var/lib/owned",
    "var/lib/owned/data",
    "var/lib/owned/link",
    "var/spool/q",
  ]);
  const withBits = new Set(["var/tmp", "var/spool/q", "var/spool/sticky"]);
  const isOthers = (path: string) => /^(?:dev\/.*|etc\/apko\.json|etc\/ld\.so\.cache|var\/mail)$/.test(path);
  // Accounts and paths are made by others, above the packages.
  const names = existsSync(minidist) ? readdirSync(join(minidist, "env")) : ["e01-base.yaml"];
  const own = names.filter((name) => !/^e0[126]/.test(name) || name === "e01-base.yaml");

  test.each(own)("%s", async (name) => {
    const yaml = readFileSync(join(minidist, "env", name), "utf8");
    const list = (key: string) => {
      const inline = new RegExp(`^  ${key}: \\[(.*)\\]$`, "m").exec(yaml)?.[1];
      if (inline !== undefined) return inline.split(",").map((each) => each.trim());
      return [
        ...(new RegExp(`^  ${key}:\\n((?:    - .*\\n)+)`, "m").exec(yaml)?.[1] ?? "").matchAll(/- "?([^"\n]*)"?/g),
      ].map((match) => match[1] ?? "");
    };
    const key = publicKey("test.rsa.pub", readFileSync(join(minidist, "test.rsa.pub"), "utf8"));
    const universe = createUniverse(
      await Promise.all(
        list("repositories").map(async (path) => ({
          url: join(minidist, path, "x86_64"),
          tag: "",
          packages: (
            await readIndexArchive(readFileSync(join(minidist, path, "x86_64/APKINDEX.tar.gz")), {
              what: path,
              keys: [key],
            })
          ).packages,
        })),
      ),
    );
    const { packages, locked } = resolveEnvironment(universe, list("packages"));
    const tree = await treeOf(
      await installPackages({
        packages: packages.map(({ repository, label, record }) => ({
          path: join(repository.url, `${label}.apk`),
          what: label,
          checksum: record.checksum,
        })),
        base: nothing,
        world: locked,
        repositories: list("repositories"),
        keys: [key],
        arch: "x86_64",
        sourceDateEpoch: 1_700_001_000,
        cacheDirectory: join(folder, "cache"),
        signal,
      }),
    );
    const expected: { layers: { files: Expected[] }[] } = JSON.parse(
      readFileSync(join(minidist, "expected", name.replace("yaml", "json")), "utf8"),
    );
    const accounts = new Set(name.startsWith("e01") ? ["etc/passwd", "etc/group", "etc/shadow"] : []);
    const isHome = (path: string) => name.startsWith("e01") && /^(?:home\/nonroot|srv(?:\/.*)?)$/.test(path);
    const wanted: Record<string, unknown> = {};
    const got: Record<string, unknown> = {};
    for (const one of expected.layers.flatMap(({ files }) => files)) {
      const { path, type, text } = one;
      if (isOthers(path) || isHome(path)) continue;
      const found = tree[path];
      const pick = (from: Expected | Found | undefined) =>
        from && {
          mode: withBits.has(path) ? "" : from.mode,
          owner: withOwners.has(path) ? "" : `${from.uid}:${from.gid}`,
          mtime: from.mtime,
          linkname: type === "symlink" ? from.linkname : "",
          xattrs: from.xattrs ?? {},
          text: accounts.has(path) || text === undefined ? undefined : sane(path, from.text),
        };
      wanted[path] = pick(one);
      got[path] = pick(found);
    }
    expect(got).toEqual(wanted);
    expect(Object.keys(tree).filter((path) => path !== "" && !(path in wanted) && !isOthers(path))).toEqual([]);
  });

  /** apko writes Go's syntax for lists into one field, which apk does not read. */
  function sane(path: string, content: string | undefined): string | undefined {
    return path.endsWith("db/installed") ? content?.replaceAll(/^i:.*\n/gm, "") : content;
  }
});

test("an outsider reads the layers", async (context) => {
  const tools = made("tools", [
    { name: "usr", type: "directory" },
    { name: "usr/tool", content: "x", mode: 0o4755, uid: 3, gid: 4 },
  ]);
  const { environment } = await installed([tools]);
  const [layer] = environment.layers;
  const file = layer?.file?.("tar");
  if (file === undefined) return context.skip("the layer is in no file");
  const listed = execFileSync("tar", ["--numeric-owner", "-tvf", file], {
    encoding: "utf8",
    env: { ...process.env, TZ: "UTC" },
  });
  expect(listed).toMatch(/^-rwsr-xr-x 3\/4 +1 2023-11-14 22:13 usr\/tool$/m);
});
