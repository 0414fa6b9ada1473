import { execFileSync, spawn, spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DebugImage, ExportContext, Target } from "@melange2/core";
import { openImage, parseImageConfig, validateImage } from "@melange2/oci";
import { type ArrivedImage, exporterSuite, randomDebugImage, testExportContext } from "@melange2/testkit";
import { describe, expect, onTestFinished, test } from "vitest";
import { ociDir } from "./oci-dir.ts";

const defaults = { ref: "debug:{build}", compression: "gzip" as "none" | "gzip" | "zstd" };

describe("the suite for exporters", () =>
  exporterSuite({
    test,
    exporter: ociDir,
    async subject() {
      const folder = await mkdtemp(join(tmpdir(), "melange2-oci-dir-"));
      const path = join(folder, "debug");
      return {
        options: { ...defaults, path },
        arrived: () => arrived(path),
        [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
      };
    },
    refused: {
      "a folder of something else": (options) => ({ ...options, path: import.meta.dirname }),
      "a file": (options) => ({ ...options, path: import.meta.filename }),
      "a parent that does not exist": (options) => ({ ...options, path: `${options.path}/gone/debug` }),
      "a file as the parent": (options) => ({ ...options, path: `${import.meta.filename}/debug` }),
      "an empty path": (options) => ({ ...options, path: "" }),
      "a name that no image can have": (options) => ({ ...options, ref: "Debug:x" }),
      "an unknown compression": (options) => ({ ...options, compression: "xz" as "none" }),
    },
  }));

async function arrived(path: string): Promise<ArrivedImage | undefined> {
  if (!(await stat(path).catch(() => undefined))) return undefined;
  const image = await openImage(path);
  expect(await validateImage(image)).toEqual([]);
  const { config, diffIds } = parseImageConfig(image.config);
  return { config, diffIds };
}

async function folderOfItsOwn(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "melange2-oci-dir-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

async function exported(path: string, image: DebugImage, context: Partial<ExportContext> = {}, options = defaults) {
  const prepared = await ociDir.prepare({ ...options, path }, testExportContext(context));
  const signal = new AbortController().signal;
  return prepared.export(image, { signal, failure: { build: "b-7", step: "main-1" }, onProgress: () => {} });
}

const imageIdIn = async (path: string) => (await openImage(path)).imageId;

test("holds a layout and nothing else, for its owner only", async () => {
  const folder = await folderOfItsOwn();
  const receipt = await exported("{package}-{step}/", randomDebugImage(), { cwd: folder });
  expect(receipt.location).toBe(join(folder, "hello-main-1"));
  expect(await readdir(folder)).toEqual(["hello-main-1"]);
  expect((await stat(receipt.location)).mode & 0o777).toBe(0o700);
  expect((await readdir(receipt.location)).sort()).toEqual(["blobs", "index.json", "oci-layout"]);
  expect((await stat(join(receipt.location, "index.json"))).mode & 0o777).toBe(0o600);
});

test("the name always means the newest failure; older ones are kept and named", async () => {
  const path = join(await folderOfItsOwn(), "debug-2.10");
  const receipts = [];
  for (let count = 0; count < 3; count += 1) receipts.push(await exported(path, randomDebugImage()));
  expect(await imageIdIn(path)).toBe(receipts[2]?.imageId);
  expect(await imageIdIn(`${path}.1`)).toBe(receipts[0]?.imageId);
  expect(await imageIdIn(`${path}.2`)).toBe(receipts[1]?.imageId);
  expect(receipts.map(({ note }) => note)).toEqual([
    undefined,
    `The layout that was ${path} before is now ${path}.1.`,
    `The layout that was ${path} before is now ${path}.2.`,
  ]);
});

test("exports to one name at the same time lose nothing", async () => {
  const folder = await folderOfItsOwn();
  const path = join(folder, "debug");
  const receipts = await Promise.all(Array.from({ length: 8 }, () => exported(path, randomDebugImage({ bytes: 10 }))));
  const names = await readdir(folder);
  expect(names).toHaveLength(8);
  const found = await Promise.all(names.map((name) => imageIdIn(join(folder, name))));
  expect(found.sort()).toEqual(receipts.map(({ imageId }) => imageId).sort());
});

test("takes an empty folder, and one that a link points to", async () => {
  const folder = await folderOfItsOwn();
  await mkdir(join(folder, "empty"));
  await symlink("empty", join(folder, "link"));
  const receipt = await exported(join(folder, "link"), randomDebugImage());
  expect(receipt.location).toBe(join(folder, "empty"));
  expect(receipt.note).toBeUndefined();
  expect(await imageIdIn(join(folder, "link"))).toBe(receipt.imageId);
});

test("a folder that came to hold something else while the build ran stays as it is", async () => {
  const folder = await folderOfItsOwn();
  const path = join(folder, "debug");
  const prepared = await ociDir.prepare({ ...defaults, path }, testExportContext());
  await cp(import.meta.dirname, path, { recursive: true });
  const signal = new AbortController().signal;
  const refused = prepared.export(randomDebugImage(), {
    signal,
    failure: { build: "b", step: "s" },
    onProgress: () => {},
  });
  await expect(refused).rejects.toMatchObject({ code: "export" });
  expect(await readFile(join(path, "oci-dir.test.ts"))).toEqual(await readFile(import.meta.filename));
  expect(await readdir(folder)).toEqual(["debug"]);
});

test("removes what killed exports left a day ago, and only that", async () => {
  const folder = await folderOfItsOwn();
  const old = new Date(Date.now() - 25 * 60 * 60 * 1000);
  for (const name of [".melange2-0123456789abcdef.part", ".melange2-mine.part"]) {
    await mkdir(join(folder, name));
    await utimes(join(folder, name), old, old);
  }
  await writeFile(join(folder, ".melange2-00000000000000fe.part"), "");
  await utimes(join(folder, ".melange2-00000000000000fe.part"), old, old);
  await mkdir(join(folder, ".melange2-00000000000000ff.part"));
  await exported(join(folder, "debug"), randomDebugImage());
  expect((await readdir(folder)).sort()).toEqual([
    ".melange2-00000000000000fe.part",
    ".melange2-00000000000000ff.part",
    ".melange2-mine.part",
    "debug",
  ]);
});

test("an export that is killed leaves nothing under the name", async () => {
  const folder = await folderOfItsOwn();
  const program = `
    import ociDir from ${JSON.stringify(import.meta.resolve("./index.ts"))};
    import { randomDebugImage, testExportContext } from "@melange2/testkit";
    const image = randomDebugImage({ bytes: 5_000_000 });
    const stuck = { ...image, deliver: (target, options) => image.deliver({ ...target, sink: {
      write: async (chunk) => { await target.sink.write(chunk); console.log("written"); await new Promise((r) => setTimeout(r, 1e6)); },
      close: async () => {} } }, options) };
    const prepared = await ociDir.prepare({ path: "debug", ref: "debug:x", compression: "none" }, testExportContext({ cwd: ${JSON.stringify(folder)} }));
    await prepared.export(stuck, { signal: new AbortController().signal, failure: { build: "b", step: "s" }, onProgress() {} });`;
  const child = spawn(process.execPath, ["--conditions=melange2-source", "--input-type=module", "-e", program], {
    cwd: import.meta.dirname,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
  expect(await readdir(folder)).toEqual([expect.stringMatching(/^\.melange2-[0-9a-f]{16}\.part$/)]);
  await exported(join(folder, "debug"), randomDebugImage());
  expect(await readdir(folder)).toContain("debug");
});

test("a full disk is an export error with a hint, and leaves nothing", async (context) => {
  const folder = await folderOfItsOwn();
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]);
  if (mounted.status !== 0) return context.skip("mounting a small filesystem needs root");
  try {
    await expect(exported(join(folder, "debug"), randomDebugImage({ bytes: 400_000 }))).rejects.toMatchObject({
      code: "export",
      hint: expect.stringContaining("space"),
    });
    expect(await readdir(folder)).toEqual([]);
  } finally {
    execFileSync("umount", [folder]);
  }
});

describe("an engine whose archive is not right", () => {
  const changed = (change: (chunk: Uint8Array) => Uint8Array): DebugImage => {
    const image = randomDebugImage({ bytes: 100_000 });
    return {
      ...image,
      deliver(target: Target, options) {
        if (target.kind !== "archive") return image.deliver(target, options);
        const { sink } = target;
        const write = (chunk: Uint8Array) => sink.write(change(chunk));
        return image.deliver({ ...target, sink: { write, close: () => sink.close() } }, options);
      },
    };
  };
  const flipped = (chunk: Uint8Array) => {
    const copy = Uint8Array.from(chunk);
    if (copy.length > 50_000) copy[40_000] = (copy[40_000] ?? 0) ^ 1;
    return copy;
  };

  test.each([
    ["a damaged blob", changed(flipped), /sha256/],
    ["nothing at all", changed(() => new Uint8Array()), /end/],
  ])("%s: an export error, and nothing is left", async (_, image, message) => {
    const folder = await folderOfItsOwn();
    const broken = exported(join(folder, "debug"), image, {}, { ...defaults, compression: "none" });
    await expect(broken).rejects.toMatchObject({ code: "export", message: expect.stringMatching(message) });
    expect(await readdir(folder)).toEqual([]);
  });
});

test("the commands are those of the program that is here", async () => {
  const path = join(await folderOfItsOwn(), "debug");
  expect((await exported(path, randomDebugImage(), { runtimes: ["podman"] })).open).toEqual([
    ["podman", "run", "-it", "--rm", `oci:${path}:b-7`, "/bin/sh"],
  ]);
  expect((await exported(path, randomDebugImage(), { runtimes: [] })).open).toEqual([
    ["skopeo", "copy", `oci:${path}:b-7`, "docker-daemon:debug:b-7"],
    ["docker", "run", "-it", "--rm", "debug:b-7", "/bin/sh"],
  ]);
});

describe.each(["none", "gzip", "zstd"] as const)("compression %s", (compression) => {
  test("skopeo takes the layout", async (context) => {
    if (spawnSync("skopeo", ["--version"]).error) return context.skip("skopeo is not installed");
    const path = join(await folderOfItsOwn(), "debug");
    const receipt = await exported(path, randomDebugImage(), {}, { ...defaults, compression });
    const judged = spawnSync("skopeo", ["inspect", "--raw", `oci:${path}:b-7`], { encoding: "utf8" });
    expect(judged.stderr).toBe("");
    expect(JSON.parse(judged.stdout).config.digest).toBe(receipt.imageId);
    const copied = spawnSync("skopeo", ["copy", `oci:${path}:b-7`, `oci:${path}.copied:x`], { encoding: "utf8" });
    expect([copied.status, copied.stderr]).toEqual([0, ""]);
  });

  test("umoci unpacks it", async (context) => {
    if (compression === "zstd") return context.skip("umoci 0.4 knows no zstd");
    if (spawnSync("umoci", ["--version"]).error) return context.skip("umoci is not installed");
    const folder = await folderOfItsOwn();
    await exported(join(folder, "debug"), randomDebugImage({ bytes: 1000 }), {}, { ...defaults, compression });
    const unpack = ["unpack", "--rootless", "--image", join(folder, "debug:b-7"), join(folder, "bundle")];
    const judged = spawnSync("umoci", unpack, { encoding: "utf8" });
    expect([judged.status, judged.stderr]).toEqual([0, expect.not.stringContaining("error")]);
    expect((await readdir(join(folder, "bundle/rootfs/home/build"))).sort()).toEqual(["random-0", "random-1"]);
    expect(await readdir(join(folder, "bundle/rootfs/.melange2"))).toEqual(["record.json"]);
  });
});
