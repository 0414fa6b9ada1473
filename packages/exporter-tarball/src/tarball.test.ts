import { execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DebugImage, ExportContext } from "@melange2/core";
import { exporterSuite, randomDebugImage, readImageArchive, testExportContext } from "@melange2/testkit";
import { describe, expect, onTestFinished, test } from "vitest";
import { tarball } from "./tarball.ts";

const defaults = { ref: "debug:{build}", compression: "gzip" as "none" | "gzip" | "zstd" };

describe("the suite for exporters", () =>
  exporterSuite({
    test,
    exporter: tarball,
    async subject() {
      const folder = await mkdtemp(join(tmpdir(), "melange2-tarball-"));
      const path = join(folder, "debug.tar");
      return {
        options: { ...defaults, path },
        async arrived() {
          const present = await stat(path).catch(() => undefined);
          return present && readImageArchive(createReadStream(path));
        },
        [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
      };
    },
    refused: {
      "a directory as the path": (options) => ({ ...options, path: options.path.replace("/debug.tar", "") }),
      "a path that ends in a slash": (options) => ({ ...options, path: `${options.path}/` }),
      "a folder that does not exist": (options) => ({ ...options, path: `${options.path}/gone/debug.tar` }),
      "a file where a folder should be": (options) => ({ ...options, path: `${import.meta.filename}/debug.tar` }),
      "a device": (options) => ({ ...options, path: "/dev/null" }),
      "an empty path": (options) => ({ ...options, path: "" }),
      "a name that no image can have": (options) => ({ ...options, ref: "Debug:x" }),
      "an unknown compression": (options) => ({ ...options, compression: "xz" as "none" }),
    },
  }));

async function folderOfItsOwn(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "melange2-tarball-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

async function exported(
  path: string,
  image: DebugImage,
  context: Partial<ExportContext> = {},
  options = defaults,
  signal = new AbortController().signal,
) {
  const prepared = await tarball.prepare({ ...options, path }, testExportContext(context));
  return prepared.export(image, {
    signal,
    failure: { build: "b-7", step: "main-1" },
    onProgress: () => {},
  });
}

const imageIdIn = async (path: string) => (await readImageArchive(createReadStream(path))).imageId;

test("is for its owner only, and alone in its folder", async () => {
  const folder = await folderOfItsOwn();
  await exported(join(folder, "debug.tar"), randomDebugImage());
  expect((await stat(join(folder, "debug.tar"))).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(["debug.tar"]);
});

test("fills path and name, relative to the working directory", async () => {
  const folder = await folderOfItsOwn();
  const receipt = await exported("{package}-{step}.tar", randomDebugImage(), { cwd: folder });
  expect(receipt.location).toBe(join(folder, "hello-main-1.tar"));
  expect((await readImageArchive(createReadStream(receipt.location))).names).toEqual(["debug:b-7"]);
});

test("the name always means the newest failure; older ones are kept and named", async () => {
  const folder = await folderOfItsOwn();
  const path = join(folder, "debug.tar.gz");
  const receipts = [];
  for (let count = 0; count < 3; count += 1) receipts.push(await exported(path, randomDebugImage()));
  expect(await imageIdIn(path)).toBe(receipts[2]?.imageId);
  expect(await imageIdIn(join(folder, "debug.1.tar.gz"))).toBe(receipts[0]?.imageId);
  expect(await imageIdIn(join(folder, "debug.2.tar.gz"))).toBe(receipts[1]?.imageId);
  expect(receipts.map(({ note }) => note)).toEqual([
    undefined,
    `The file that was ${path} before is now ${join(folder, "debug.1.tar.gz")}.`,
    `The file that was ${path} before is now ${join(folder, "debug.2.tar.gz")}.`,
  ]);
});

test("exports to one name at the same time lose nothing", async () => {
  const folder = await folderOfItsOwn();
  const path = join(folder, "debug-2.10");
  const receipts = await Promise.all(Array.from({ length: 8 }, () => exported(path, randomDebugImage({ bytes: 10 }))));
  const names = await readdir(folder);
  expect(names).toHaveLength(8);
  const found = await Promise.all(names.map((name) => imageIdIn(join(folder, name))));
  expect(found.sort()).toEqual(receipts.map(({ imageId }) => imageId).sort());
});

test("a link under the name is moved aside, what it points to stays as it is", async () => {
  const folder = await folderOfItsOwn();
  await writeFile(join(folder, "precious"), "precious");
  await symlink("precious", join(folder, "debug.tar"));
  await exported(join(folder, "debug.tar"), randomDebugImage());
  expect(await readFile(join(folder, "precious"), "utf8")).toBe("precious");
  expect(await readFile(join(folder, "debug.1.tar"), "utf8")).toBe("precious");
});

test("removes what killed exports left a day ago, and only that", async () => {
  const folder = await folderOfItsOwn();
  const old = new Date(Date.now() - 25 * 60 * 60 * 1000);
  for (const name of [".melange2-0123456789abcdef.part", ".melange2-mine.part"]) {
    await writeFile(join(folder, name), "");
    await utimes(join(folder, name), old, old);
  }
  await writeFile(join(folder, ".melange2-00000000000000ff.part"), "");
  await exported(join(folder, "debug.tar"), randomDebugImage());
  expect((await readdir(folder)).sort()).toEqual([
    ".melange2-00000000000000ff.part",
    ".melange2-mine.part",
    "debug.tar",
  ]);
});

test("an export that is killed leaves nothing under the name", async () => {
  const folder = await folderOfItsOwn();
  const program = `
    import tarball from ${JSON.stringify(import.meta.resolve("./index.ts"))};
    import { randomDebugImage, testExportContext } from "@melange2/testkit";
    const image = randomDebugImage({ bytes: 5_000_000 });
    const stuck = { ...image, deliver: (target, options) => image.deliver({ ...target, sink: {
      write: async (chunk) => { await target.sink.write(chunk); console.log("written"); await new Promise((r) => setTimeout(r, 1e6)); },
      close: async () => {} } }, options) };
    const prepared = await tarball.prepare({ path: "debug.tar", ref: "debug:x", compression: "none" }, testExportContext({ cwd: ${JSON.stringify(folder)} }));
    await prepared.export(stuck, { signal: new AbortController().signal, failure: { build: "b", step: "s" }, onProgress() {} });`;
  const child = spawn(process.execPath, ["--conditions=melange2-source", "--input-type=module", "-e", program], {
    cwd: import.meta.dirname,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
  const left = await readdir(folder);
  expect(left).toEqual([expect.stringMatching(/^\.melange2-[0-9a-f]{16}\.part$/)]);
  await exported(join(folder, "debug.tar"), randomDebugImage());
  expect(await readdir(folder)).toContain("debug.tar");
});

/** An image whose engine hands these files over between some bytes of its own; `see` gets their pieces. */
function imageOfFiles(files: readonly string[], see: (piece: Uint8Array) => void = () => {}): DebugImage {
  return {
    ...randomDebugImage(),
    async deliver(target) {
      if (target.kind !== "archive") return undefined;
      await target.sink.write(Buffer.from("begin"));
      for (const file of files) await target.sink.appendFile?.(file, see);
      await target.sink.write(Buffer.from("end"));
      await target.sink.close();
      return { imageId: `sha256:${"0".repeat(64)}`, bytes: 0 };
    },
  };
}

test("files that the engine has, small and large, are appended whole between what it writes", async () => {
  const folder = await folderOfItsOwn();
  const large = Buffer.alloc(65 * 2 ** 20, randomBytes(1021));
  const contents = [randomBytes(700_001), Buffer.alloc(0), large, randomBytes(256 * 1024), randomBytes(1)];
  const files = contents.map((_, index) => join(folder, `${index}`));
  for (const [index, file] of files.entries()) await writeFile(file, contents[index] as Buffer);
  const pieces: Buffer[] = [];
  const image = imageOfFiles(files, (piece) => pieces.push(Buffer.from(piece)));
  await exported(join(folder, "debug.tar"), image);
  const whole = Buffer.concat([Buffer.from("begin"), ...contents, Buffer.from("end")]);
  expect((await readFile(join(folder, "debug.tar"))).equals(whole)).toBe(true);
  expect(Buffer.concat(pieces).equals(Buffer.concat(contents))).toBe(true);
});

test("a file that the engine lost is an export error, and leaves nothing", async () => {
  const folder = await folderOfItsOwn();
  const image = imageOfFiles([join(folder, "gone")]);
  await expect(exported(join(folder, "debug.tar"), image)).rejects.toMatchObject({ code: "export" });
  expect(await readdir(folder)).toEqual([]);
});

test("an interrupt ends the copying of a large file, and leaves nothing", async () => {
  const folder = await folderOfItsOwn();
  const endless = join(await folderOfItsOwn(), "endless");
  await writeFile(endless, "");
  await truncate(endless, 2 ** 40);
  const stop = new AbortController();
  const image = imageOfFiles([endless], () => stop.abort());
  const stopped = exported(join(folder, "debug.tar"), image, {}, defaults, stop.signal);
  await expect(stopped).rejects.toMatchObject({ code: "interrupted" });
  expect(await readdir(folder)).toEqual([]);
});

test.for([
  ["chunks", 0],
  ["a small file", 400_000],
  ["a large file", 2 ** 27],
] as const)("a full disk is an export error with a hint, and leaves nothing: %s", async ([, size], context) => {
  const folder = await folderOfItsOwn();
  const file = join(await folderOfItsOwn(), "file");
  await writeFile(file, "");
  await truncate(file, size);
  const image = size > 0 ? imageOfFiles([file]) : randomDebugImage({ bytes: 400_000 });
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]);
  if (mounted.status !== 0) return context.skip("mounting a small filesystem needs root");
  try {
    await expect(exported(join(folder, "debug.tar"), image)).rejects.toMatchObject({
      code: "export",
      hint: expect.stringContaining("space"),
    });
    expect(await readdir(folder)).toEqual([]);
  } finally {
    execFileSync("umount", [folder]);
  }
});

test("a read-only folder is refused before the build", async (context) => {
  const folder = await folderOfItsOwn();
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "ro", "tmpfs", folder]);
  if (mounted.status !== 0) return context.skip("mounting a read-only filesystem needs root");
  try {
    const refused = tarball.prepare({ ...defaults, path: join(folder, "debug.tar") }, testExportContext());
    await expect(refused).rejects.toMatchObject({ code: "usage" });
  } finally {
    execFileSync("umount", [folder]);
  }
});

test("a folder that went away is an export error", async () => {
  const folder = await folderOfItsOwn();
  await mkdir(join(folder, "out"));
  const prepared = await tarball.prepare({ ...defaults, path: join(folder, "out/debug.tar") }, testExportContext());
  await rm(join(folder, "out"), { recursive: true });
  const failure = { build: "b", step: "s" };
  const signal = new AbortController().signal;
  const refused = prepared.export(randomDebugImage(), { signal, failure, onProgress: () => {} });
  await expect(refused).rejects.toMatchObject({ code: "export" });
});

test("- writes to standard output and nothing else", async () => {
  const chunks: Uint8Array[] = [];
  const stdout = { write: async (chunk: Uint8Array) => void chunks.push(chunk), close: async () => {} };
  const receipt = await exported("-", randomDebugImage(), { stdout });
  async function* written() {
    yield* chunks;
  }
  expect((await readImageArchive(written())).imageId).toBe(receipt.imageId);
  expect(receipt.open).toEqual([
    ["docker", "load"],
    ["docker", "run", "-it", "--rm", "debug:b-7", "/bin/sh"],
  ]);
});

test("the commands are those of the program that is here", async () => {
  const path = join(await folderOfItsOwn(), "debug.tar");
  expect((await exported(path, randomDebugImage(), { runtimes: ["podman"] })).open).toEqual([
    ["podman", "load", "-i", path],
    ["podman", "run", "-it", "--rm", "debug:b-7", "/bin/sh"],
  ]);
  expect((await exported(path, randomDebugImage(), { runtimes: [] })).open[0]?.[0]).toBe("docker");
});

test.for(["none", "gzip", "zstd"] as const)(
  "skopeo takes the archive, compression %s",
  async (compression, context) => {
    if (spawnSync("skopeo", ["--version"]).error) return context.skip("skopeo is not installed");
    const path = join(await folderOfItsOwn(), "debug.tar");
    const receipt = await exported(path, randomDebugImage(), {}, { ...defaults, compression });
    const judged = spawnSync("skopeo", ["inspect", "--raw", `oci-archive:${path}`], { encoding: "utf8" });
    expect(judged.stderr).toBe("");
    expect(JSON.parse(judged.stdout).config.digest).toBe(receipt.imageId);
  },
);
