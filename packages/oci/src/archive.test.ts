import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { archiveFile, blobsOf } from "../test/archive.ts";
import { installed, run, scratch } from "../test/programs.ts";
import { writeArchive } from "./archive-writer.ts";
import { type Bytes, bytesOf } from "./bytes.ts";
import { digestOf } from "./digest.ts";
import { type FlatEntry, flatten } from "./flatten.ts";
import type { Image } from "./image.ts";
import { openImage } from "./image-reader.ts";
import { layerFromTar } from "./layer.ts";
import type { Compression } from "./media-type.ts";
import { randomImage } from "./random-image.ts";
import { validateImage } from "./validate.ts";

const compressions: readonly Compression[] = ["none", "gzip", "zstd"];

async function written(compression: Compression, image = randomImage(5, { entries: 40 }), names = ["debug:failed"]) {
  const directory = scratch();
  const path = join(directory, "image.tar");
  const result = await archiveFile(path, {
    config: image.config,
    layers: await blobsOf(image, compression, directory),
    names,
  });
  return { directory, path, image, result };
}

async function sameTree(image: Image, other: Image): Promise<void> {
  expect(await flatten(other.layers)).toEqual(await flatten(image.layers));
}

describe("one archive for every loader", () => {
  test.each(compressions)("%s: read back it is the same image, without a violation", async (compression) => {
    const { path, image, result } = await written(compression);
    const back = await openImage(path, { platform: { os: "linux", architecture: "amd64" }, name: "debug:failed" });
    expect(back.form).toBe("oci-archive");
    expect(back.imageId).toBe(image.imageId);
    expect(result.imageId).toBe(image.imageId);
    expect(result.bytes).toBe(statSync(path).size);
    expect(back.manifest?.descriptor).toEqual(result.manifest);
    expect(await validateImage(back)).toEqual([]);
    await sameTree(image, back);
  });

  test("the same image gives the same bytes, and progress ends at all of them", async () => {
    const one = await written("gzip");
    const again = await written("gzip");
    expect(readFileSync(one.path).equals(readFileSync(again.path))).toBe(true);
    const seen: (readonly [number, number])[] = [];
    const sink = { write: async () => {}, close: async () => {} };
    const layers = await blobsOf(one.image, "gzip", one.directory);
    const { bytes } = await writeArchive(sink, {
      config: one.image.config,
      layers,
      names: ["debug:failed"],
      onProgress: (...now) => seen.push(now),
    });
    expect(bytes).toBe(statSync(one.path).size);
    expect(seen.at(-1)).toEqual([bytes, bytes]);
  });

  test.for(compressions)(
    "%s: skopeo reads it as an OCI archive and as a docker archive",
    async (compression, { skip }) => {
      skip(!installed("skopeo"), "skopeo is not installed");
      const { path, image, result, directory } = await written(compression);
      const oci = JSON.parse(run("skopeo", "inspect", "--raw", `oci-archive:${path}:failed`));
      expect(oci.config.digest).toBe(image.imageId);
      expect(JSON.parse(run("skopeo", "inspect", `oci-archive:${path}`)).Digest).toBe(result.manifest.digest);
      expect(JSON.parse(run("skopeo", "inspect", "--config", `docker-archive:${path}:debug:failed`))).toEqual(
        JSON.parse(Buffer.from(image.config).toString()),
      );
      // It checks every digest while it copies.
      run("skopeo", "copy", "-q", `docker-archive:${path}`, `dir:${join(directory, "copy")}`);
      expect(digestOf(readFileSync(join(directory, "copy", image.imageId.slice(7))))).toBe(image.imageId);
    },
  );

  test("umoci unpacks the tree that flatten tells", async ({ skip }) => {
    skip(!installed("skopeo") || !installed("umoci"), "skopeo or umoci is not installed");
    skip(process.getuid?.() !== 0, "owners can only be set by root");
    const { path, image, directory } = await written("gzip");
    run("skopeo", "copy", "-q", `oci-archive:${path}`, `oci:${join(directory, "layout")}:x`);
    run("umoci", "unpack", "--image", `${join(directory, "layout")}:x`, join(directory, "bundle"));
    const rootfs = join(directory, "bundle/rootfs");
    const records = run("find", rootfs, "-mindepth", "1", "-printf", "%P\\t%y\\t%m\\t%U\\t%G\\t%s\\t%T@\\t%l\\t%n\\0")
      .split("\0")
      .filter(Boolean);
    const found = new Map(records.map((record) => [record.split("\t")[0] as string, record]));
    const flat = await flatten(image.layers);
    expect([...found.keys()].sort()).toEqual([...flat.keys()].sort());
    for (const [name, entry] of flat) expect(found.get(name)).toContain(shown(name, entry));
    for (const [name, entry] of flat)
      if (entry.sha256)
        expect(digestOf(readFileSync(Buffer.from(join(rootfs, name), "latin1")))).toBe(`sha256:${entry.sha256}`);
  });

  function shown(name: string, entry: FlatEntry): string {
    const type = { file: "f", directory: "d", symlink: "l", fifo: "p", character: "c", block: "b" }[entry.type];
    // umoci sets whole seconds on links only; sizes of directories are the file system's.
    const size = entry.type === "file" ? `\t${entry.size}\t` : "\t";
    return `${name}\t${type}\t${entry.mode.toString(8)}\t${entry.uid}\t${entry.gid}${size}`;
  }

  test("several names, one blob each", async () => {
    const { path } = await written("gzip", randomImage(1), ["debug:a", "registry.example.com:5000/team/debug:b"]);
    const listing = run("tar", "-tf", path).trim().split("\n");
    expect(new Set(listing).size).toBe(listing.length);
    expect((await openImage(path, { name: "registry.example.com:5000/team/debug:b" })).imageId).toBe(
      (await openImage(path)).imageId,
    );
    expect(JSON.parse(run("tar", "-xOf", path, "manifest.json"))[0].RepoTags).toEqual([
      "debug:a",
      "registry.example.com:5000/team/debug:b",
    ]);
    expect(
      JSON.parse(run("tar", "-xOf", path, "index.json")).manifests.map(
        (one: { annotations: object }) => one.annotations,
      ),
    ).toEqual([
      { "io.containerd.image.name": "docker.io/library/debug:a", "org.opencontainers.image.ref.name": "a" },
      {
        "io.containerd.image.name": "registry.example.com:5000/team/debug:b",
        "org.opencontainers.image.ref.name": "b",
      },
    ]);
  });

  test("a layer that is not what it should be stops the writing before the sink is closed", async () => {
    const { image, directory } = await written("none");
    const [first, ...rest] = await blobsOf(image, "none", directory);
    const damaged = {
      descriptor: first?.descriptor as never,
      open: (): Bytes => bytesOf(Buffer.alloc(first?.descriptor.size ?? 0)),
    };
    const calls: string[] = [];
    const sink = { write: async () => {}, close: async () => void calls.push("close") };
    await expect(
      writeArchive(sink, { config: image.config, layers: [damaged, ...rest], names: [] }),
    ).rejects.toMatchObject({ code: "digest-mismatch" });
    expect(calls).toEqual([]);
  });

  test("a sink that takes files gets blobs as files, and the archive has the same bytes", async () => {
    const { path, image, directory } = await written("gzip");
    const layers = await blobsOf(image, "gzip", directory);
    const chunks: Uint8Array[] = [];
    const files: string[] = [];
    const sink = {
      write: async (chunk: Uint8Array) => void chunks.push(chunk),
      close: async () => {},
      async appendFile(file: string, see: (piece: Uint8Array) => void) {
        files.push(file);
        const content = readFileSync(file);
        for (const piece of [content.subarray(0, 7), content.subarray(7)]) see(piece);
        chunks.push(content);
      },
    };
    const seen: number[] = [];
    const spec = { config: image.config, names: ["debug:failed"], onProgress: (done: number) => seen.push(done) };
    const { bytes } = await writeArchive(sink, { ...spec, layers });
    expect(Buffer.concat(chunks).equals(readFileSync(path))).toBe(true);
    expect(files).toEqual(layers.map(({ file }) => file));
    expect(seen.at(-1)).toBe(bytes);

    const file = layers[0]?.file ?? "";
    const content = readFileSync(file);
    for (const [damaged, code] of [
      [Buffer.from(content).fill(1, 0, 4), "digest-mismatch"],
      [content.subarray(1), "size-mismatch"],
      [Buffer.concat([content, content]), "size-mismatch"],
    ] as const) {
      writeFileSync(file, damaged);
      await expect(writeArchive(sink, { ...spec, layers })).rejects.toMatchObject({ code });
    }
  });

  test("an abort stops it", async () => {
    const { image, directory } = await written("none");
    const layers = await blobsOf(image, "none", directory);
    const stop = new AbortController();
    const sink = { write: async () => stop.abort(new Error("enough")), close: async () => {} };
    await expect(writeArchive(sink, { config: image.config, layers, names: [], signal: stop.signal })).rejects.toThrow(
      "enough",
    );
  });

  test.each(["debug@sha256:0", "team/UPPER", "a:b:c", "x/y:", "-a"])("the name %s is refused", async (name) => {
    const image = randomImage(1, { layers: 0 });
    const sink = { write: async () => {}, close: async () => {} };
    await expect(writeArchive(sink, { config: image.config, layers: [], names: [name] })).rejects.toMatchObject({
      code: "invalid",
    });
  });
});

describe("reading what others wrote", () => {
  test("an OCI layout, a docker archive and an OCI archive by skopeo hold the same image", async ({ skip }) => {
    skip(!installed("skopeo"), "skopeo is not installed");
    const { path, image, directory } = await written("gzip");
    const forms = {
      "oci-layout": `oci:${directory}/layout:x`,
      "docker-archive": `docker-archive:${directory}/docker.tar:debug:x`,
      "oci-archive": `oci-archive:${directory}/oci.tar:x`,
    };
    for (const [form, target] of Object.entries(forms)) {
      run("skopeo", "copy", "-q", `oci-archive:${path}`, target);
      const back = await openImage(target.split(":")[1] as string);
      expect([form, back.form, back.imageId]).toEqual([form, form, image.imageId]);
      expect(await validateImage(back)).toEqual([]);
      await sameTree(image, back);
    }
  });

  test("docker save as it was up to 24: a folder for each layer, a shared one as a symlink", async () => {
    const directory = scratch();
    const image = randomImage(8, { layers: 2 });
    const names = ["1".repeat(64), "2".repeat(64), "3".repeat(64)];
    const root = join(directory, "saved");
    for (const [index, layer] of image.layers.entries()) {
      mkdirSync(join(root, names[index] as string), { recursive: true });
      const chunks: Uint8Array[] = [];
      for await (const chunk of layer.open("tar")) chunks.push(chunk);
      writeFileSync(join(root, names[index] as string, "layer.tar"), Buffer.concat(chunks));
    }
    run("sh", "-c", `cd ${root} && mkdir ${names[2]} && ln -s ../${names[0]}/layer.tar ${names[2]}/layer.tar`);
    writeFileSync(join(root, `${image.imageId.slice(7)}.json`), image.config);
    const layers = [`${names[2]}/layer.tar`, `${names[1]}/layer.tar`];
    writeFileSync(
      join(root, "manifest.json"),
      JSON.stringify([{ Config: `${image.imageId.slice(7)}.json`, RepoTags: ["debug:old"], Layers: layers }]),
    );
    run("tar", "-C", root, "-cf", join(directory, "saved.tar"), ".");
    const back = await openImage(join(directory, "saved.tar"), { name: "debug:old" });
    expect([back.form, back.imageId]).toEqual(["docker-archive", image.imageId]);
    expect(await validateImage(back)).toEqual([]);
    await sameTree(image, back);
  });

  test("another platform, another name, another file", async () => {
    const { path, directory } = await written("none");
    await expect(openImage(path, { platform: { os: "linux", architecture: "arm64" } })).rejects.toMatchObject({
      code: "no-platform",
      message: expect.stringContaining("only for linux/amd64"),
    });
    await expect(openImage(path, { name: "other:1" })).rejects.toMatchObject({
      code: "not-found",
      hint: expect.stringContaining("debug:failed"),
    });
    await expect(openImage(join(directory, "nothing"))).rejects.toMatchObject({ code: "not-found" });
    await expect(openImage(directory)).rejects.toMatchObject({
      code: "not-found",
      hint: expect.stringContaining("docker save"),
    });
  });

  test("a layout with two platforms needs one named, and does not need the other's blobs", async () => {
    const root = join(scratch(), "layout");
    mkdirSync(join(root, "blobs/sha256"), { recursive: true });
    const put = (content: Uint8Array): string => {
      writeFileSync(join(root, "blobs/sha256", digestOf(content).slice(7)), content);
      return digestOf(content);
    };
    const image = randomImage(2, { layers: 0, platform: { os: "linux", architecture: "arm64", variant: "v8" } });
    const config = {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: put(image.config),
      size: image.config.length,
    };
    const manifest = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config, layers: [] }),
    );
    const type = "application/vnd.oci.image.manifest.v1+json";
    const absent = {
      mediaType: type,
      digest: `sha256:${"0".repeat(64)}`,
      size: 5,
      platform: { os: "linux", architecture: "amd64" },
    };
    const attestation = {
      mediaType: type,
      digest: `sha256:${"1".repeat(64)}`,
      size: 5,
      platform: { os: "unknown", architecture: "unknown" },
    };
    const present = {
      mediaType: type,
      digest: put(manifest),
      size: manifest.length,
      platform: { os: "linux", architecture: "arm64" },
    };
    const nested = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [absent, attestation, present] }));
    writeFileSync(join(root, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
    writeFileSync(
      join(root, "index.json"),
      JSON.stringify({
        schemaVersion: 2,
        manifests: [{ mediaType: "application/vnd.oci.image.index.v1+json", digest: put(nested), size: nested.length }],
      }),
    );
    expect((await openImage(root, { platform: { os: "linux", architecture: "arm64" } })).imageId).toBe(image.imageId);
    await expect(openImage(root, { platform: { os: "linux", architecture: "s390x" } })).rejects.toMatchObject({
      code: "no-platform",
      message: expect.stringContaining("linux/amd64, linux/arm64"),
    });
    await expect(openImage(root, { platform: { os: "linux", architecture: "amd64" } })).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringContaining("lacks the blob"),
    });
  });
});

describe("a damaged archive", () => {
  test.each(compressions)("%s: one flipped bit anywhere is found, and so is every cut", async (compression) => {
    const { path, directory } = await written(compression, randomImage(4, { layers: 2, entries: 6, fileSize: 300 }));
    const good = readFileSync(path);
    const damaged = join(directory, "damaged.tar");
    const outcome = async (content: Uint8Array): Promise<string> => {
      writeFileSync(damaged, content);
      try {
        const image = await openImage(damaged);
        const violations = await validateImage(image);
        return violations.length > 0 ? "violation" : "fine";
      } catch (error) {
        return (error as { code?: string }).code ?? String(error);
      }
    };
    expect(await outcome(good)).toBe("fine");
    const index = good.indexOf("manifest.json\0");
    const bodies = good.indexOf("blobs/sha256/", index + 1024); // manifest.json is for Docker and not read here
    const fields = bodies + 512 * 2;
    for (let at = fields; at < good.length - 1024; at += Math.floor(good.length / 60)) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 4;
      const found = await outcome(bad);
      // Only what fills a body's last block carries no meaning.
      if (good[at] !== 0) expect([at, found]).not.toEqual([at, "fine"]);
    }
    for (let length = 512; length < good.length - 1024; length += Math.floor(good.length / 20))
      expect([length, await outcome(good.subarray(0, length))]).not.toEqual([length, "fine"]);
  });

  test("a layer's own file that was cut is told by its digest", async () => {
    const layer = await layerFromTar(() => bytesOf(Buffer.alloc(1024)));
    const image = randomImage(1, { layers: 1 });
    const violations = await validateImage({
      ...image,
      layers: [{ ...layer, diffId: image.layers[0]?.diffId ?? layer.diffId }],
    });
    expect(violations).toEqual([{ where: "layer 0", message: expect.stringContaining(`its tar is ${layer.diffId}`) }]);
  });
});
