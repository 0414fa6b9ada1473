import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { flatten, randomImage, readyBlob, tarHeader, tarOf, validateImage, writeArchive } from "@melange2/oci";
import { describe, expect, test } from "vitest";
import { amd64, plant, program, run, scratch, smallRoot } from "../test/scratch.ts";
import { type OpenBaseOptions, openBase } from "./open-base.ts";

const root = process.getuid?.() === 0;
const never = new AbortController().signal;

function open(path: string, cacheDirectory: string, more: Partial<OpenBaseOptions> = {}) {
  return openBase(path, { platform: amd64, cacheDirectory, signal: never, ...more });
}

/** Longer ago than what counts as just changed. */
function settle(path: string): void {
  utimesSync(path, new Date(0), new Date(0));
}

async function imageArchive(path: string, seed: number) {
  const image = randomImage(seed, { entries: 20 });
  const layers = await Promise.all(image.layers.map(async (layer) => (await readyBlob(layer, "none")) as never));
  const chunks: Uint8Array[] = [];
  const sink = { write: async (chunk: Uint8Array) => void chunks.push(Uint8Array.from(chunk)), close: async () => {} };
  await writeArchive(sink, { config: image.config, layers, names: ["base:1"] });
  writeFileSync(path, Buffer.concat(chunks));
  return image;
}

describe("root filesystems", () => {
  test("a directory and its tar in every compression are the same tree", async () => {
    const at = scratch();
    const directory = smallRoot(join(at, "root"), { "usr/share/ünï": "x", "tmp/": "" });
    execFileSync(
      "sh",
      ["-c", "chmod 1777 tmp && ln bin/sh bin/hard && ln -s sh bin/soft && mkfifo tmp/pipe && chmod 4755 bin/sh"],
      { cwd: directory },
    );
    // An ordinary user's own tree is root's in the environment: the tar says so itself.
    const asRoot = ["--numeric-owner", "--owner=0", "--group=0"];
    run("tar", "-C", directory, "--format=posix", "--xattrs", ...asRoot, "-cf", join(at, "root.tar"), ".");
    for (const packer of ["gzip -k", "xz -k", "zstd -qk"]) run("sh", "-c", `${packer} ${at}/root.tar`);
    const trees = [];
    for (const name of ["root", "root.tar", "root.tar.gz", "root.tar.xz", "root.tar.zst"]) {
      const base = await open(join(at, name), join(at, "cache"));
      expect(base.form).toBe(name === "root" ? "directory" : "rootfs-tar");
      expect(base.environment).toMatchObject({ platform: amd64, config: {} });
      trees.push(await flatten(base.environment.layers));
    }
    for (const tree of trees) expect(tree).toEqual(trees[0]);
    expect(trees[0]?.get("bin/soft")).toMatchObject({ type: "symlink", linkname: "sh" });
    expect(trees[0]?.get("bin/sh")).toMatchObject({ mode: 0o4755, sharedWith: "bin/hard" });
    expect(trees[0]?.get("tmp")?.mode).toBe(0o1777);
    expect(trees[0]?.get("etc/passwd")?.uid).toBe(0);
    // tars of one content are one layer, however they were compressed
    expect(readdirSync(join(at, "cache/layers")).filter((name) => name.endsWith(".tar")).length).toBeLessThanOrEqual(2);
  });

  test("owners, devices and attributes come along", async ({ skip }) => {
    skip(!root, "only root can make them");
    const at = scratch();
    const directory = smallRoot(join(at, "root"));
    execFileSync(
      "sh",
      [
        "-c",
        "mkdir dev && mknod dev/null c 1 3 && chown 1234:3000000 etc/group && setcap cap_net_raw+ep bin/sh 2>/dev/null || true",
      ],
      { cwd: directory },
    );
    const tree = await flatten((await open(directory, join(at, "cache"))).environment.layers);
    expect(tree.get("dev/null")).toMatchObject({ type: "character", device: "1:3" });
    expect(tree.get("etc/group")).toMatchObject({ uid: 1234, gid: 3_000_000 });
  });

  test("the base is never used live: the environment stays as it was imported", async () => {
    const at = scratch();
    const directory = smallRoot(join(at, "root"));
    const { environment } = await open(directory, join(at, "cache"));
    const before = await flatten(environment.layers);
    rmSync(directory, { recursive: true });
    expect(await flatten(environment.layers)).toEqual(before);
  });

  test("a second opening reads nothing, a changed file is noticed", async () => {
    const at = scratch();
    run("tar", "-C", smallRoot(join(at, "root")), "-cf", join(at, "root.tar"), ".");
    run("sh", "-c", `cd ${at} && while [ "$(find root.tar -newerct '-2.5 seconds')" ]; do sleep 0.2; done`);
    const seen: string[] = [];
    const onProgress: NonNullable<OpenBaseOptions["onProgress"]> = ({ what }) => seen.push(what);
    const first = await open(join(at, "root.tar"), join(at, "cache"), { onProgress });
    expect(seen.length).toBeGreaterThan(0);
    seen.length = 0;
    const second = await open(join(at, "root.tar"), join(at, "cache"), { onProgress });
    expect(seen).toEqual([]);
    expect(second.environment.layers.map((layer) => layer.diffId)).toEqual(
      first.environment.layers.map((layer) => layer.diffId),
    );
    plant(join(at, "root"), { "etc/new": "new" });
    run("tar", "-C", join(at, "root"), "-cf", join(at, "root.tar"), ".");
    settle(join(at, "root.tar"));
    const third = await flatten((await open(join(at, "root.tar"), join(at, "cache"))).environment.layers);
    expect(third.has("etc/new")).toBe(true);
  });

  test("a cache that lost or damaged a layer imports it again", async () => {
    const at = scratch();
    const directory = smallRoot(join(at, "root"));
    const first = await open(directory, join(at, "cache"));
    const before = await flatten(first.environment.layers);
    for (const name of readdirSync(join(at, "cache/layers"))) writeFileSync(join(at, "cache/layers", name), "damaged");
    expect(await flatten((await open(directory, join(at, "cache"))).environment.layers)).toEqual(before);
  });
});

test("what a killed import left in the cache is removed by a later one, once nobody can be writing it", async () => {
  const at = scratch();
  const directory = smallRoot(join(at, "root"));
  await open(directory, join(at, "cache"));
  const half = (name: string) => join(at, "cache", name);
  for (const name of ["tmp/old", "layers/old.tar.0a.tmp", "blobs/old.0a.tmp", "tmp/new", "layers/new.tar.0b.tmp"]) {
    writeFileSync(half(name), "half");
    if (name.includes("old")) settle(half(name));
  }
  await open(directory, join(at, "cache"));
  expect(readdirSync(half("tmp"))).toEqual(["new"]);
  expect(readdirSync(half("blobs"))).toEqual([]);
  expect(readdirSync(half("layers")).filter((name) => name.endsWith(".tmp"))).toEqual(["new.tar.0b.tmp"]);
});

describe("images", () => {
  test.each(["plain", "gzip"])("an archive (%s) with its config, layer by layer", async (packing) => {
    const at = scratch();
    const image = await imageArchive(join(at, "image.tar"), 3);
    if (packing === "gzip") run("gzip", join(at, "image.tar"));
    const base = await open(join(at, packing === "gzip" ? "image.tar.gz" : "image.tar"), join(at, "cache"));
    expect(base.form).toBe("oci-archive");
    expect(base.environment.config).toEqual(image.file.config);
    expect(base.environment.layers.map((layer) => layer.diffId)).toEqual(image.layers.map((layer) => layer.diffId));
    expect(await validateImage({ config: image.config, layers: base.environment.layers })).toEqual([]);
    expect(readdirSync(join(at, "cache/tmp"))).toEqual([]);
  });

  test("a layout's compressed blobs are kept, and are what they were", async () => {
    const at = scratch();
    const image = await imageArchive(join(at, "image.tar"), 4);
    const layout = join(at, "layout");
    // An OCI archive unpacked is an OCI layout.
    run("sh", "-c", `mkdir ${layout} && tar -C ${layout} -xf ${at}/image.tar && rm ${at}/image.tar`);
    repackGzip(layout);
    const base = await open(layout, join(at, "cache"));
    rmSync(layout, { recursive: true });
    expect(base.form).toBe("oci-layout");
    for (const layer of base.environment.layers) expect(layer.blob?.mediaType).toMatch(/gzip$/);
    expect(await validateImage({ config: image.config, layers: base.environment.layers })).toEqual([]);
  });

  /** Turns a layout's plain layers into gzip ones, with the system's gzip. */
  function repackGzip(layout: string): void {
    const blobs = join(layout, "blobs/sha256");
    const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8"));
    const manifest = JSON.parse(readFileSync(join(blobs, index.manifests[0].digest.slice(7)), "utf8"));
    for (const layer of manifest.layers) {
      const path = join(blobs, layer.digest.slice(7));
      const [digest] = run("sh", "-c", `gzip -n ${path} && sha256sum ${path}.gz`).split(" ");
      run("mv", `${path}.gz`, join(blobs, digest as string));
      Object.assign(layer, {
        digest: `sha256:${digest}`,
        size: readFileSync(join(blobs, digest as string)).length,
        mediaType: `${layer.mediaType}+gzip`,
      });
    }
    const content = JSON.stringify(manifest);
    writeFileSync(join(blobs, "manifest"), content);
    const [digest] = run("sha256sum", join(blobs, "manifest")).split(" ");
    run("mv", join(blobs, "manifest"), join(blobs, digest as string));
    Object.assign(index.manifests[0], { digest: `sha256:${digest}`, size: content.length });
    writeFileSync(join(layout, "index.json"), JSON.stringify(index));
  }

  test("a damaged one is refused, and nothing of it stays under its digest", async () => {
    const at = scratch();
    const image = await imageArchive(join(at, "image.tar"), 5);
    const content = readFileSync(join(at, "image.tar"));
    const layer = content.indexOf("layer0/");
    content[layer] = "X".charCodeAt(0);
    writeFileSync(join(at, "image.tar"), content);
    await expect(open(join(at, "image.tar"), join(at, "cache"))).rejects.toMatchObject({
      code: "environment",
      message: expect.stringContaining("should be sha256:"),
    });
    expect(
      readdirSync(join(at, "cache/layers")).some((name) => name.startsWith(image.layers[0]?.diffId.slice(7) ?? "")),
    ).toBe(false);
  });
});

describe("what is no base", () => {
  async function refusal(
    make: (at: string) => string,
    platform = amd64 as OpenBaseOptions["platform"],
  ): Promise<string> {
    const at = scratch();
    const path = make(at);
    const error = await open(path, join(at, "cache"), { platform }).then(
      () => "accepted",
      (found: { code: string; message: string; hint: string }) => `${found.code}: ${found.message} | ${found.hint}`,
    );
    const layers = join(at, "cache/layers");
    expect(readdirSync(layers)).toEqual([]);
    return error.replaceAll(at, "AT");
  }

  const packed = (headers: readonly Parameters<typeof tarHeader>[0][]) => (at: string) => {
    writeFileSync(
      join(at, "x.tar"),
      tarOf(headers.map((fields) => ({ header: tarHeader(fields), body: new Uint8Array(fields.size ?? 0) }))),
    );
    return join(at, "x.tar");
  };
  const content = (bytes: string) => (at: string) => {
    writeFileSync(join(at, "x"), bytes, "latin1");
    return join(at, "x");
  };

  test.each<readonly [string, (at: string) => string, RegExp]>([
    [
      "a path that is not there",
      (at) => join(at, "gone"),
      /^environment: the base AT\/gone does not exist \| Give a directory/,
    ],
    ["an empty file", content(""), /is an empty file \| Give .*docker archive/],
    ["a text", content("FROM debian\n"), /is a text file/],
    ["a zip", content("PK\x03\x04zip"), /is a zip archive/],
    ["a disk image", content("QFI\xfb\0\0"), /qcow2/],
    ["a Debian package", content("!<arch>\ndebian-binary"), /ar archive/],
    ["bzip2", content("BZh91AY"), /compressed with bzip2/],
    ["noise", content("\xff".repeat(5000)), /is no tar archive/],
    ["an empty tar", packed([]), /empty tar/],
    ["an apk package", packed([{ name: ".PKGINFO", type: "file" }]), /a package, not a root filesystem/],
    [
      "a source tarball",
      packed([
        { name: "libev-4.33", type: "directory" },
        { name: "libev-4.33/configure", type: "file" },
      ]),
      /no root filesystem: at its top are libev-4.33/,
    ],
    ["an empty directory", (at) => plant(at, { "d/": "" }) && join(at, "d"), /is empty/],
    ["a directory of sources", (at) => plant(join(at, "d"), { Makefile: "all:" }), /at its top are Makefile/],
    [
      "a name that leads out",
      packed([
        { name: "etc", type: "directory" },
        { name: "etc/../../x", type: "file" },
      ]),
      /"etc\/..\/..\/x" is refused: it leads out/,
    ],
    ["an absolute name", packed([{ name: "/etc/x", type: "file" }]), /is refused: it is absolute/],
    [
      "a hard link that leads out",
      packed([{ name: "etc/x", type: "hardlink", linkname: "../../shadow" }]),
      /is refused: it leads out/,
    ],
    ["a layer's whiteout", packed([{ name: "etc/.wh.passwd", type: "file" }]), /would delete a file/],
    ["an overlay's whiteout", packed([{ name: "etc/x", type: "character" }]), /would delete a file/],
    [
      "a truncated tar",
      (at) => {
        const path = packed([{ name: "etc/x", type: "file", size: 9000 }])(at);
        run("truncate", "-s", "4000", path);
        return path;
      },
      /cut off at byte/,
    ],
    [
      "a truncated gzip",
      (at) => {
        run(
          "sh",
          "-c",
          `gzip ${packed([{ name: "etc/x", type: "file", size: 9000 }])(at)} && truncate -s 60 ${at}/x.tar.gz`,
        );
        return join(at, "x.tar.gz");
      },
      /ends too early/,
    ],
    [
      "a truncated xz",
      (at) => {
        run(
          "sh",
          "-c",
          `xz ${packed([{ name: "etc/x", type: "file", size: 9000 }])(at)} && truncate -s 60 ${at}/x.tar.xz`,
        );
        return join(at, "x.tar.xz");
      },
      /unpacking AT\/x.tar.xz failed: .*[Uu]nexpected end/,
    ],
  ])("%s", async (_what, make, message) => {
    expect(await refusal(make)).toMatch(message);
  });

  test("an image for another platform, before anything is imported", async () => {
    const at = scratch();
    await imageArchive(join(at, "image.tar"), 1);
    await expect(
      open(join(at, "image.tar"), join(at, "cache"), { platform: { os: "linux", architecture: "arm64" } }),
    ).rejects.toMatchObject({
      code: "environment",
      message: expect.stringMatching(/no image for linux\/arm64, only for linux\/amd64/),
    });
  });

  test("a root filesystem for another platform, by its programs", async () => {
    const at = scratch();
    const directory = smallRoot(join(at, "root"), { "bin/sh": "#!/bin/bash\n", "usr/bin/env": program(183) });
    await expect(open(directory, join(at, "cache"))).rejects.toMatchObject({
      code: "environment",
      message: expect.stringMatching(/is for linux\/arm64, the build for linux\/amd64/),
      hint: expect.stringContaining("--arch"),
    });
  });

  test("an abort stops the import and leaves nothing behind", async () => {
    const at = scratch();
    const directory = smallRoot(join(at, "root"), { "usr/large": Buffer.alloc(3_000_000) });
    const stop = new AbortController();
    const opening = open(directory, join(at, "cache"), {
      signal: stop.signal,
      onProgress: () => stop.abort(new Error("enough")),
    });
    await expect(opening).rejects.toThrow("enough");
    expect(readdirSync(join(at, "cache/tmp"))).toEqual([]);
    expect(readdirSync(join(at, "cache/layers"))).toEqual([]);
  });

  test("a directory that may not be read", async ({ skip }) => {
    skip(root, "root can read everything");
    await expect(open("/root", join(scratch(), "cache"))).rejects.toMatchObject({
      code: "environment",
      message: expect.stringContaining("Permission denied"),
      hint: expect.stringContaining("Run as root"),
    });
  });

  test("a file that nobody but its owner could open is read inside the user namespace", async ({ skip }) => {
    skip(root, "root can read everything");
    skip(!namespaces(), "no user namespaces here");
    const at = scratch();
    const directory = smallRoot(join(at, "root"));
    chmodSync(join(directory, "etc/shadow"), 0);
    const tree = await flatten((await open(directory, join(at, "cache"))).environment.layers);
    expect(tree.get("etc/shadow")).toMatchObject({ mode: 0, uid: 0, gid: 0, size: 14 });
  });
});

function namespaces(): boolean {
  try {
    run("unshare", "-U", "-r", "true");
    return true;
  } catch {
    return false;
  }
}
