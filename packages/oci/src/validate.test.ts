import { describe, expect, test } from "vitest";
import { bytesOf } from "./bytes.ts";
import { digestOf } from "./digest.ts";
import { buildImageConfig } from "./image-config.ts";
import { blobFromBytes, type Layer, layerFromBlob, layerFromBytes, layerFromEntries } from "./layer.ts";
import { buildManifest } from "./manifest.ts";
import { mediaTypes } from "./media-type.ts";
import { randomImage } from "./random-image.ts";
import { type TarHeader, tarHeader } from "./tar-entry.ts";
import { tarOf } from "./tar-writer.ts";
import { validateImage } from "./validate.ts";

function imageOf(...layers: readonly Layer[]) {
  const { content } = buildImageConfig({
    platform: { os: "linux", architecture: "amd64" },
    config: {},
    diffIds: layers.map((layer) => layer.diffId),
    history: layers.map(() => "made by a test"),
    created: "2026-01-01T00:00:00Z",
  });
  return { config: content, layers };
}

async function complaints(
  ...headers: readonly (Pick<TarHeader, "name" | "type"> & Partial<TarHeader>)[]
): Promise<readonly string[]> {
  const layer = layerFromEntries(
    headers.map((header) => ({ header: tarHeader(header), body: new Uint8Array(header.size ?? 0) })),
  );
  return (await validateImage(imageOf(layer))).map(({ where, message }) => `${where}: ${message}`);
}

describe("what is wrong with an image", () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])("nothing, with random image %i", async (seed) => {
    expect(await validateImage(randomImage(seed, { layers: 4, entries: 50 }))).toEqual([]);
  });

  test("the random image of a seed is always the same", () => {
    expect(randomImage(42).imageId).toBe(randomImage(42).imageId);
    expect(randomImage(42).imageId).not.toBe(randomImage(43).imageId);
  });

  test.each([
    ["unsafe names", [{ name: "../up", type: "file" }], /leads out/],
    ["absolute names", [{ name: "/etc/x", type: "file" }], /absolute/],
    [
      "a name twice",
      [
        { name: "a", type: "file" },
        { name: "./a", type: "file" },
      ],
      /a is in it twice/,
    ],
    ["a full whiteout", [{ name: ".wh.a", type: "file", size: 3 }], /no empty file/],
    ["a whiteout of nothing", [{ name: "d/.wh.", type: "file" }], /names nothing/],
    ["a whiteout of ..", [{ name: "d/.wh...", type: "file" }], /names nothing/],
    [
      "added and hidden",
      [
        { name: "a", type: "file" },
        { name: ".wh.a", type: "file" },
      ],
      /both added and hidden/,
    ],
    ["a link to nothing", [{ name: "a", type: "hardlink", linkname: "b" }], /hard link to b/],
    [
      "a link to a directory",
      [
        { name: "b", type: "directory" },
        { name: "a", type: "hardlink", linkname: "b" },
      ],
      /which is no file/,
    ],
  ] as const)("%s", async (_what, headers, message) => {
    const found = await complaints(...headers);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(message);
  });

  test("a tar without its end, a tar of another digest, a wrong size", async () => {
    const tar = tarOf([{ header: tarHeader({ name: "a", type: "file" }) }]);
    const cut = await validateImage(imageOf(layerFromBytes(tar.subarray(0, 512))));
    expect(cut).toEqual([{ where: "layer 0", message: expect.stringContaining("end mark is missing") }]);
    const other = { ...layerFromBytes(tar), open: () => bytesOf(tarOf([])) };
    expect((await validateImage(imageOf(other))).map(({ message }) => message)).toEqual([
      expect.stringContaining("its tar is sha256:"),
      expect.stringContaining(`not ${tar.length}`),
    ]);
  });

  test("a blob that is not the descriptor's is told, and the other layers are still checked", async () => {
    const tar = tarOf([]);
    const descriptor = { mediaType: mediaTypes.layer, digest: digestOf("other"), size: tar.length };
    const bad = layerFromBlob(blobFromBytes(tar, descriptor), digestOf(tar));
    const worse = layerFromEntries([{ header: tarHeader({ name: "/", type: "directory" }) }]);
    const found = await validateImage(imageOf(bad, worse));
    expect(new Set(found.map(({ where }) => where))).toEqual(new Set(["layer 0", "layer 1"]));
  });

  test("config and manifest against each other and the layers: all of it, together", async () => {
    const image = randomImage(1, { layers: 2 });
    const [first] = image.layers as [Layer, Layer];
    const { content, descriptor } = buildManifest({ config: Buffer.from("{}"), layers: [] });
    const found = await validateImage({
      imageId: digestOf("no"),
      config: image.config,
      layers: [first, first, first],
      manifest: { content, descriptor: { ...descriptor, size: 1 } },
    });
    const told = found.map(({ where, message }) => `${where}: ${message}`).join("\n");
    for (const part of [
      /config: it is sha256.*not sha256/,
      /2 diff IDs for 3 layers/,
      /diff ID 1 is/,
      /manifest: it is .* of 1$/m,
      /its config is/,
      /it has 0 layers, not 3/,
    ])
      expect(told).toMatch(part);
  });

  test("a history of another length", async () => {
    const { config, layers } = imageOf(layerFromEntries([]));
    const json = JSON.parse(Buffer.from(config).toString());
    json.history.push({ created_by: "one more" }, { empty_layer: true });
    expect(await validateImage({ config: Buffer.from(JSON.stringify(json)), layers })).toEqual([
      { where: "config", message: "its history speaks of 2 layers, there are 1" },
    ]);
  });

  test("bytes that are no config", async () => {
    expect(await validateImage({ config: Buffer.from("[]"), layers: [] })).toEqual([
      { where: "config", message: expect.stringContaining("should be an object") },
    ]);
  });
});
