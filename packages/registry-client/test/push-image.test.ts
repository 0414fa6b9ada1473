import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { collect, compressLayer, type Layer, layerFromFile, mediaTypes, readFileBytes } from "@melange2/oci";
import { describe, expect, test } from "vitest";
import { openRepository, pullImage, pushImage } from "../src/index.ts";
import { imageOf, noise, noiseLayer, platform, repositoryName, type Scene, scene } from "./scene.ts";

const push = (stage: Scene, layers: readonly Layer[], more: Partial<Parameters<typeof pushImage>[2]> = {}) =>
  pushImage(stage.repository, imageOf(layers), {
    tag: "failed",
    signal: stage.abort.signal,
    spoolDirectory: stage.directory,
    ...more,
  });

async function withBlob(stage: Scene, layer: Layer, compression: "gzip" | "zstd"): Promise<Layer> {
  const path = join(stage.directory, layer.diffId.slice(7, 20));
  const descriptor = await compressLayer(layer, compression, path);
  const tar = await collect(layer.open("tar"), 1e9, "layer");
  const tarPath = `${path}.tar`;
  await writeFile(tarPath, tar);
  return layerFromFile(tarPath, {
    diffId: layer.diffId,
    tarSize: tar.length,
    blob: { descriptor, open: () => readFileBytes(path) },
  });
}

describe("a push", () => {
  test("makes an image that a pull gives back, and leaves nothing behind", async () => {
    await using stage = await scene();
    const layers = [noiseLayer(300_000, 1), noiseLayer(10, 2), noiseLayer(0, 3)];
    const told: [number, number | undefined][] = [];
    const pushed = await push(stage, layers, { onProgress: (done, total) => told.push([done, total]) });
    const pulled = await pullImage(
      { registry: stage.registry.host, repository: repositoryName, digest: pushed.manifest.digest },
      { ...stage.session, platform, cacheDirectory: join(stage.directory, "cache") },
    );
    expect(pulled.imageId).toBe(pushed.imageId);
    expect(pulled.config.WorkingDir).toBe("/home/build");
    expect(pulled.layers.map(({ diffId }) => diffId)).toEqual(layers.map(({ diffId }) => diffId));
    expect(pushed.bytes).toBe(stage.registry.bytesReceived);
    const [done, total] = told.at(-1) ?? [];
    expect(done).toBe(total);
    expect((total ?? 0) + pushed.manifest.size).toBe(pushed.bytes);
    expect((await readdir(stage.directory)).filter((name) => name.startsWith("melange2-push-"))).toEqual([]);
  });

  test("of the same image again sends a manifest", async () => {
    await using stage = await scene();
    const layers = [noiseLayer(100_000, 1), noiseLayer(50_000, 2)];
    const first = await push(stage, layers);
    const before = stage.registry.bytesReceived;
    const second = await push(stage, layers);
    expect(second.manifest).toEqual(first.manifest);
    expect(second.bytes).toBe(first.manifest.size);
    expect(stage.registry.bytesReceived - before).toBe(first.manifest.size);
  });

  test("of an image that differs in one step sends that step", async () => {
    await using stage = await scene();
    const base = noiseLayer(1_000_000, 1);
    await push(stage, [base, noiseLayer(200_000, 2)]);
    const before = stage.registry.bytesReceived;
    await push(stage, [base, noiseLayer(200_000, 3)]);
    expect(stage.registry.bytesReceived - before).toBeLessThan(1.05 * 200_000);
  });

  test.for(["gzip", "zstd"] as const)("sends a stored %s blob as it is", async (compression) => {
    await using stage = await scene();
    const layer = await withBlob(stage, noiseLayer(100_000, 1), compression);
    const { manifest } = await push(stage, [layer]);
    const stored = stage.registry.repository(repositoryName);
    expect(stored.blobs.has(layer.blob?.digest ?? "")).toBe(true);
    const [described] = JSON.parse(String(stored.manifests.get(manifest.digest)?.content)).layers;
    expect(described).toEqual({
      mediaType: compression === "gzip" ? mediaTypes.layerGzip : mediaTypes.layerZstd,
      digest: layer.blob?.digest,
      size: layer.blob?.size,
    });
  });

  test("sends a layer that is there twice once", async () => {
    await using stage = await scene();
    const layer = noiseLayer(100_000, 1);
    const told: (number | undefined)[] = [];
    await push(stage, [layer, noiseLayer(1000, 2), layer], { onProgress: (_, total) => told.push(total) });
    expect(stage.registry.bytesReceived).toBeLessThan(110_000);
    expect(told.at(-1)).toBeLessThan(110_000);
  });

  test("never moves a base that it pulled from the same registry: it is mounted, and read by nobody", async () => {
    await using stage = await scene();
    using base = openRepository({ registry: stage.registry.host, repository: "team/base" }, stage.session);
    await pushImage(base, imageOf([noiseLayer(500_000, 1)]), { tag: "12", signal: stage.abort.signal });
    const pulled = await pullImage(
      { registry: stage.registry.host, repository: "team/base", tag: "12" },
      { ...stage.session, platform, cacheDirectory: join(stage.directory, "cache") },
    );
    const unread = pulled.layers.map((layer) => ({
      ...layer,
      open: () => {
        throw new Error("the base was read");
      },
    }));
    const before = stage.registry.bytesReceived;
    const { manifest } = await push(stage, [...unread, noiseLayer(1000, 2)]);
    expect(stage.registry.bytesReceived - before).toBeLessThan(5000);
    const content = String(stage.registry.repository(repositoryName).manifests.get(manifest.digest)?.content);
    expect(content).not.toContain("distribution.source");
  });

  test("names the image by its digest where there is no tag", async () => {
    await using stage = await scene();
    const { manifest } = await push(stage, [noiseLayer(10, 1)], { tag: undefined });
    const stored = stage.registry.repository(repositoryName);
    expect([...stored.manifests.keys()]).toEqual([manifest.digest]);
    expect(stored.tags.size).toBe(0);
  });

  test("of a layer that is not what its diff id says fails, and sets no tag", async () => {
    await using stage = await scene();
    const layer: Layer = { ...noiseLayer(1000, 1), diffId: noiseLayer(1000, 2).diffId };
    await expect(push(stage, [layer])).rejects.toMatchObject({ code: "digest" });
    expect(stage.registry.repository(repositoryName).tags.size).toBe(0);
  });

  test("ends with its signal while it compresses", async () => {
    await using stage = await scene();
    const reason = new Error("interrupted");
    const plain = noiseLayer(1000, 1);
    const layer: Layer = {
      diffId: plain.diffId,
      async *open() {
        stage.abort.abort(reason);
        yield noise(1000, 1);
      },
    };
    await expect(push(stage, [layer])).rejects.toBe(reason);
  });
});
