import { execFileSync } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TarHeader, tarHeader, writeTar } from "@melange2/oci";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeHostTree } from "./host-tree.ts";
import { scratchFolder } from "./scratch-folder.ts";

const { signal } = new AbortController();
const silent = () => {};
let folder: string;
let into: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "melange2-host-tree-"));
  into = join(folder, "into");
  mkdirSync(into);
  writeFileSync(join(folder, "victim"), "the host's\n");
});
afterEach(() => rmSync(folder, { recursive: true }));

type Fields = Parameters<typeof tarHeader>[0];

function write(...entries: readonly (Fields & { readonly text?: string })[]): Promise<void> {
  const tar = writeTar(
    entries.map(({ text = "", ...fields }) => {
      const body = Buffer.from(text);
      return { header: tarHeader({ ...fields, size: body.length } as TarHeader), body };
    }),
  );
  return writeHostTree(tar, into, signal);
}

it("files, folders and links are written with rights and times, owned by who writes", async () => {
  const mtime = 1_600_000_000_123_000_000n;
  await write(
    { name: "out", type: "directory", mode: 0o550, mtime },
    { name: "out/file", type: "file", text: "content\n", mode: 0o640, mtime, uid: 4242, gid: 4242 },
    { name: "out/same", type: "hardlink", linkname: "out/file" },
    { name: "out/link", type: "symlink", linkname: "/etc/passwd", mtime },
    { name: "out/caf\xe9", type: "file", text: "x" },
    { name: "without/parent", type: "file", text: "y" },
  );
  const file = statSync(join(into, "out/file"));
  expect([file.mode & 0o7777, file.uid, file.mtimeMs, file.nlink]).toEqual([
    0o640,
    process.getuid?.(),
    1_600_000_000_123,
    2,
  ]);
  expect(statSync(join(into, "out")).mode & 0o7777).toBe(0o550);
  expect(readlinkSync(join(into, "out/link"))).toBe("/etc/passwd");
  expect(
    readdirSync(Buffer.from(join(into, "out")), { encoding: "buffer" }).map((name) => name.toString("latin1")),
  ).toContain("caf\xe9");
  expect(readFileSync(join(into, "without/parent"), "utf8")).toBe("y");
});

it("set-id and sticky bits stay in the state", async () => {
  await write({ name: "d", type: "directory", mode: 0o3777 }, { name: "d/su", type: "file", text: "x", mode: 0o6755 });
  expect(statSync(join(into, "d/su")).mode & 0o7777).toBe(0o755);
  expect(statSync(join(into, "d")).mode & 0o7777).toBe(0o777);
});

it("holes of a sparse file stay holes", async () => {
  const size = 300_000_000;
  async function* body() {
    const piece = Buffer.alloc(1_000_000);
    for (let at = 0; at < size; at += piece.length) yield piece;
  }
  await writeHostTree(
    writeTar([{ header: tarHeader({ name: "sparse", type: "file", size }), body: body() }]),
    into,
    signal,
  );
  const { blocks, size: written } = statSync(join(into, "sparse"));
  expect(written).toBe(size);
  expect(blocks * 512).toBeLessThan(size / 10);
});

describe("refused by name, with nothing written outside", () => {
  const cases: readonly (readonly [what: string, entries: readonly Fields[], says: RegExp])[] = [
    ["a block device", [{ name: "d/disk", type: "block", major: 8 }], /^d\/disk is a block device/],
    ["a character device", [{ name: "null", type: "character", major: 1, minor: 3 }], /^null is a character device/],
    ["a FIFO", [{ name: "pipe", type: "fifo" }], /^pipe is a FIFO/],
    [
      "a name below a link",
      [
        { name: "l", type: "symlink", linkname: ".." },
        { name: "l/victim", type: "file" },
      ],
      /^l is a link/,
    ],
    [
      "a name below a file",
      [
        { name: "f", type: "file" },
        { name: "f/x", type: "file" },
      ],
      /^f is a file/,
    ],
    [
      "a link that a file follows",
      [
        { name: "f", type: "symlink", linkname: "../victim" },
        { name: "f", type: "file" },
      ],
      /^f stands there twice/,
    ],
    [
      "a folder in a link's place",
      [
        { name: "f", type: "symlink", linkname: ".." },
        { name: "f", type: "directory" },
      ],
      /^f is a link/,
    ],
    ["a hard link to the host's file", [{ name: "h", type: "hardlink", linkname: "../victim" }], /victim/],
    [
      "a hard link to what is not here",
      [{ name: "h", type: "hardlink", linkname: "nowhere" }],
      /^h is a hard link to nowhere/,
    ],
    [
      "a hard link to a folder",
      [
        { name: "d", type: "directory" },
        { name: "h", type: "hardlink", linkname: "d" },
      ],
      /^h is a hard link to d/,
    ],
    ["a name that leads out", [{ name: "../victim", type: "file" }], /victim/],
    ["an absolute name", [{ name: "/etc/x", type: "file" }], /etc\/x/],
  ];
  it.each(cases)("%s", async (_, entries, says) => {
    await expect(write(...entries)).rejects.toMatchObject({ code: "recipe", message: expect.stringMatching(says) });
    expect(readFileSync(join(folder, "victim"), "utf8")).toBe("the host's\n");
    expect(readdirSync(folder).sort()).toEqual(["into", "victim"]);
    expect(lstatSync(join(folder, "victim")).nlink).toBe(1);
  });
});

describe("a scratch folder", () => {
  it("of a process that is gone is removed by the next; one in use stays", async () => {
    await using mine = await scratchFolder(into, silent);
    const gone = execFileSync("sh", ["-c", "echo $$"], { encoding: "utf8" }).trim();
    const name = mine.path.replace(/-\d+-(\d+)-[0-9a-f]{8}$/, `-${gone}-1-00000000`);
    mkdirSync(join(name, "half"), { recursive: true });
    execFileSync("chmod", ["000", join(name, "half")]);
    await using other = await scratchFolder(into, silent);
    expect(readdirSync(into).sort()).toEqual([mine.path, other.path].map((path) => path.slice(into.length + 1)).sort());
  });

  it("of another machine stays until it is old", async () => {
    const name = join(into, ".melange2-elsewhere1-1-1-00000000");
    mkdirSync(name);
    await using _mine = await scratchFolder(into, silent);
    expect(readdirSync(into)).toContain(".melange2-elsewhere1-1-1-00000000");
    execFileSync("touch", ["-d", "3 days ago", name]);
    await using _other = await scratchFolder(into, silent);
    expect(readdirSync(into)).not.toContain(".melange2-elsewhere1-1-1-00000000");
  });
});
