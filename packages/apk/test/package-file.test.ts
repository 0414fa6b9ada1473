import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { collect } from "@melange2/oci";
import {
  type MadeFile,
  type MadePackage,
  makePackage,
  type PackageSpec,
} from "@melange2-tooling/fixtures/apk-packages";
import { fullRun } from "@melange2-tooling/services";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isApkError, openPackageFile, packageEntries } from "../src/index.ts";

const { signal } = new AbortController();
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "melange2-apk-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function read(bytes: Uint8Array, checksum: string) {
  const path = join(folder, "one.apk");
  await writeFile(path, bytes);
  const file = await openPackageFile({ path, what: "one-1.0-r0", checksum });
  const entries: Record<string, string> = {};
  for await (const { path, header, body } of packageEntries(file, signal))
    entries[path] =
      header.type === "file"
        ? Buffer.from(await collect(body, 1 << 28, path)).toString()
        : `${header.type} ${header.linkname}`;
  return { file, entries };
}

async function refusal(bytes: Uint8Array, checksum: string): Promise<string> {
  const outcome: unknown = await read(bytes, checksum).catch((error: unknown) => error);
  if (!isApkError(outcome)) throw new Error("it was not refused", { cause: outcome });
  expect(outcome.hint).toMatch(/^[A-Z].*\.$/);
  expect(outcome.message).toContain("one-1.0-r0");
  return outcome.message;
}

const files: readonly MadeFile[] = [
  { name: "usr", type: "directory", mode: 0o755 },
  { name: "usr/bin", type: "directory", mode: 0o755 },
  { name: "usr/bin/tool", content: "#!/bin/sh\necho tool\n", mode: 0o4755 },
  { name: "usr/bin/again", type: "hardlink", linkname: "usr/bin/tool" },
  { name: "usr/bin/link", type: "symlink", linkname: "/usr/bin/tool" },
];
const spec: PackageSpec = {
  name: "one",
  files,
  scripts: { "post-install": "exit 1\n" },
  lines: ["depend = so:libc.so.6"],
};

test("a package gives what it says of itself, its scripts and its files", async () => {
  const made = makePackage(spec);
  const { file, entries } = await read(made.bytes, made.checksum);
  expect(file.info).toMatchObject({ name: "one", version: "1.0-r0", depends: ["so:libc.so.6"], installedSize: 20 });
  expect(file.scripts.map(({ name, content }) => [name, Buffer.from(content).toString()])).toEqual([
    ["post-install", "exit 1\n"],
  ]);
  expect(entries).toEqual({
    usr: "directory ",
    "usr/bin": "directory ",
    "usr/bin/tool": "#!/bin/sh\necho tool\n",
    "usr/bin/again": "hardlink usr/bin/tool",
    "usr/bin/link": "symlink /usr/bin/tool",
  });
});

test("control data that does not end in the first piece of the file is read whole", async () => {
  const noise = createHash("sha512").update("x").digest("hex");
  const made = makePackage({
    ...spec,
    scripts: {
      trigger: Array.from({ length: 3000 }, (_, i) =>
        createHash("sha512")
          .update(noise + i)
          .digest("base64"),
      ).join("\n"),
    },
  });
  expect(made.dataStart).toBeGreaterThan(128 << 10);
  expect((await read(made.bytes, made.checksum)).file.scripts[0]?.content.length).toBeGreaterThan(200_000);
});

describe("a package is refused and named where", () => {
  const made = makePackage(spec);
  const other = makePackage({ ...spec, version: "1.0-r1", files: [{ name: "usr/bin/tool", content: "other" }] });
  const part = (one: MadePackage, which: "control" | "data") =>
    which === "control" ? one.bytes.subarray(one.controlStart, one.dataStart) : one.bytes.subarray(one.dataStart);

  test.each<[string, () => Uint8Array, RegExp]>([
    ["it is empty", () => Buffer.alloc(0), /no gzip member/],
    ["it is no package", () => Buffer.from("<html>not found</html>"), /no gzip member/],
    ["it is cut off", () => made.bytes.subarray(0, made.bytes.length - 20), /SHA-256|too early|cut off/],
    ["it ends behind its control data", () => made.bytes.subarray(0, made.dataStart - 3), /./],
    [
      "its control data is another package's",
      () => Buffer.concat([part(other, "control"), part(made, "data")]),
      /SHA-1/,
    ],
    ["its files are another package's", () => Buffer.concat([part(made, "control"), part(other, "data")]), /SHA-256/],
    ["something follows its files", () => Buffer.concat([made.bytes, gzipSync("more")]), /./],
  ])("%s", async (_, bytes, message) => {
    expect(await refusal(bytes(), made.checksum)).toMatch(message);
  });

  // Signed by whoever may sign, so that hash and checksum are right: what is left is what the files are.
  test.each<[string, readonly MadeFile[], Partial<PackageSpec>, RegExp]>([
    ["a name leads out", [{ name: "../../etc/cron.d/x", content: "x" }], {}, /leads out/],
    ["a name is absolute", [{ name: "/etc/passwd", content: "x" }], {}, /absolute/],
    ["a hard link leads out", [{ name: "usr/x", type: "hardlink", linkname: "../../../etc/passwd" }], {}, /leads out/],
    ["a hard link is absolute", [{ name: "usr/x", type: "hardlink", linkname: "/etc/passwd" }], {}, /absolute/],
    [
      "a name is too long for file systems",
      [{ name: `usr/${"n".repeat(256)}`, content: "x" }],
      {},
      /more than 255 bytes/,
    ],
    ["a name means a removal in an image", [{ name: "usr/bin/.wh.sh", content: "x" }], {}, /means a removal/],
    ["a folder's name means a removal in an image", [{ name: ".wh..wh..opq/x", content: "x" }], {}, /means a removal/],
    ["a file does not have its checksum", [{ name: "usr/x", content: "x", checksum: "0".repeat(40) }], {}, /SHA-1/],
    ["a checksum is none", [{ name: "usr/x", content: "x", checksum: "zz" }], {}, /no SHA-1/],
    [
      "it unpacks to more than it says",
      [{ name: "usr/x", content: Buffer.alloc(80 << 20) }],
      { size: 10 },
      /unpacks to more/,
    ],
    ["it says no hash of its files", files, { dataHash: "" }, /no hash/],
    ["it says another hash", files, { dataHash: "0".repeat(64) }, /SHA-256/],
  ])("%s", async (_, given, more, message) => {
    const bad = makePackage({ name: "one", files: given, ...more });
    expect(await refusal(bad.bytes, bad.checksum)).toMatch(message);
  });

  test("any byte of it is changed (300 by seed)", async () => {
    let state = 20261201;
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    const unnoticed: number[] = [];
    for (let count = 0; count < 300; count++) {
      // The package's own signature is not looked at; everything behind it is.
      const at = made.controlStart + random(made.bytes.length - made.controlStart);
      const bytes = Buffer.from(made.bytes);
      bytes[at] = (bytes[at] ?? 0) ^ (1 + random(255));
      const outcome: unknown = await read(bytes, made.checksum).catch((error: unknown) => error);
      if (!isApkError(outcome)) unnoticed.push(at);
    }
    expect(unnoticed).toEqual([]);
  });
});

test("a million empty files are refused", async (context) => {
  fullRun(context);
  const bomb = makePackage({
    name: "one",
    files: Array.from({ length: 500_001 }, (_, index) => ({ name: `f${index}`, content: "", checksum: false })),
  });
  expect(await refusal(bomb.bytes, bomb.checksum)).toMatch(/more than 500000 files/);
});
