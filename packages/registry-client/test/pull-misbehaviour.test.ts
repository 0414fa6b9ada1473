import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildIndex, collect, descriptorOf, hexOf, isOciError, type Layer, layerFromBytes } from "@melange2/oci";
import type { Fault, Reply } from "@melange2/testkit";
import { describe, expect, test } from "vitest";
import { formatReference, isRegistryError, pullImage, pushImage, type RegistryErrorCode } from "../src/index.ts";
import { imageOf, noise, noiseLayer, platform, repositoryName, type Scene, scene, user } from "./scene.ts";

const always = Number.POSITIVE_INFINITY;
const layerSize = 50_000;
const headers =
  (changed: Reply["headers"]): ((reply: Reply) => Reply) =>
  (reply) => ({ ...reply, headers: { ...reply.headers, ...changed } });
const body =
  (change: (content: Buffer) => Buffer): ((reply: Reply) => Reply) =>
  (reply) => ({ ...reply, body: change(reply.body) });
const flipped = body((content) => {
  const copy = Buffer.from(content);
  const middle = copy.length >> 1;
  copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
});

async function stored(stage: Scene) {
  const image = imageOf([noiseLayer(layerSize, 1), noiseLayer(2 * layerSize, 2)]);
  const pushed = await pushImage(stage.repository, image, { tag: "12", signal: stage.abort.signal });
  const { blobs, manifests, tags } = stage.registry.repository(repositoryName);
  const [first] = image.layers;
  const manifest = JSON.parse(String(manifests.get(pushed.manifest.digest)?.content));
  return {
    ...pushed,
    image,
    first,
    blobs,
    manifests,
    tags,
    layers: manifest.layers as { digest: string; size: number }[],
  };
}

function pull(stage: Scene, reference: Partial<{ tag: string; digest: `sha256:${string}` }> = { tag: "12" }) {
  return pullImage(
    { registry: stage.registry.host, repository: repositoryName, ...reference },
    { ...stage.session, platform, cacheDirectory: join(stage.directory, "cache") },
  );
}

function bytesOf(layer: Layer | undefined, as: "tar" | "blob"): Promise<Uint8Array> {
  if (layer === undefined) throw new Error("there is no such layer");
  return collect(layer.open(as), 1e9, "layer");
}

async function cached(stage: Scene): Promise<readonly string[]> {
  return readdir(join(stage.directory, "cache", "sha256")).catch(() => []);
}

interface Case {
  readonly name: string;
  /** `{layer}` in a path is the larger layer's digest, `{config}` the config's. */
  readonly faults: readonly (Fault & { readonly path: string })[];
  readonly fails?: RegistryErrorCode;
  readonly check?: (stage: Scene, error: Error | undefined) => void;
}

const cases: readonly Case[] = [
  { name: "a layer is damaged", faults: [{ path: "{layer}", times: always, change: flipped }], fails: "digest" },
  {
    name: "a layer is too short",
    faults: [{ path: "{layer}", change: body((content) => content.subarray(1)) }],
    fails: "digest",
  },
  {
    name: "a layer is too long",
    faults: [{ path: "{layer}", change: body((content) => Buffer.concat([content, content])) }],
    fails: "digest",
  },
  {
    name: "a layer is too long, and its length is not told",
    faults: [
      {
        path: "{layer}",
        change: (reply) =>
          headers({ "content-length": undefined, "transfer-encoding": "chunked" })(
            body((content) => Buffer.concat([content, content]))(reply),
          ),
      },
    ],
    fails: "digest",
  },
  {
    name: "a layer is cut off: it goes on where it stopped",
    faults: [{ path: "{layer}", times: 2, cutAnswer: 30_000 }],
  },
  {
    name: "a layer is cut off, and the registry knows no ranges",
    faults: [
      { path: "{layer}", cutAnswer: 30_000 },
      {
        path: "{layer}",
        change: (reply) => ({
          ...reply,
          status: 200,
          headers: { ...reply.headers, "content-range": undefined },
          body: noiseBlob,
        }),
      },
    ],
  },
  {
    name: "a layer goes on elsewhere than it stopped",
    faults: [
      { path: "{layer}", cutAnswer: 30_000 },
      { path: "{layer}", change: headers({ "content-range": "bytes 0-9/10" }) },
    ],
    fails: "digest",
  },
  {
    name: "a layer ends early for ever",
    faults: [{ path: "{layer}", times: always, cutAnswer: 0 }],
    fails: "unavailable",
  },
  { name: "a layer comes in crumbs", faults: [{ path: "{layer}", trickle: 500 }] },
  { name: "a layer is gone", faults: [{ path: "{layer}", answer: { status: 404 } }], fails: "not-found" },
  { name: "a layer stalls once", faults: [{ path: "{layer}", stall: true }] },
  { name: "the config is damaged", faults: [{ path: "{config}", change: flipped }], fails: "digest" },
  { name: "the config breaks off once", faults: [{ path: "{config}", cutAnswer: 10 }] },
  { name: "the manifest fails with 503 once", faults: [{ path: "/manifests/", answer: { status: 503 } }] },
  { name: "the manifest breaks off once", faults: [{ path: "/manifests/", cutAnswer: 10 }] },
  {
    name: "the manifest is not what its header says",
    faults: [{ path: "/manifests/", change: body(() => Buffer.from("{}")) }],
    fails: "digest",
  },
  {
    name: "the manifest comes without a digest",
    faults: [{ path: "/manifests/", change: headers({ "docker-content-digest": undefined }) }],
  },
  {
    name: "the manifest is no JSON",
    faults: [
      {
        path: "/manifests/",
        change: (reply) => headers({ "docker-content-digest": undefined })(body(() => Buffer.from("<html>"))(reply)),
      },
    ],
    fails: "protocol",
  },
  {
    name: "the manifest is no object",
    faults: [
      {
        path: "/manifests/",
        change: (reply) => headers({ "docker-content-digest": undefined })(body(() => Buffer.from("[]"))(reply)),
      },
    ],
    fails: "protocol",
  },
  {
    name: "the manifest has no end",
    faults: [{ path: "/manifests/", change: body(() => Buffer.alloc(6_000_000, " ")) }],
    fails: "protocol",
  },
  {
    name: "the manifest is of schema 1",
    faults: [
      {
        path: "/manifests/",
        change: (reply) =>
          headers({ "docker-content-digest": undefined })(
            body(() => Buffer.from('{"schemaVersion":1,"fsLayers":[]}'))(reply),
          ),
      },
    ],
    fails: "unsupported",
  },
  { name: "the tag is not there", faults: [{ path: "/manifests/", answer: { status: 404 } }], fails: "not-found" },
  {
    name: "everything redirects in a circle",
    faults: [
      { path: "{layer}", times: always, answer: { status: 307, headers: { location: "/v2/circle" } } },
      { path: "/v2/circle", times: always, answer: { status: 302, headers: { location: "/v2/circle" } } },
    ],
    fails: "protocol",
  },
  { name: "a redirect leads nowhere", faults: [{ path: "{layer}", answer: { status: 302 } }], fails: "protocol" },
  {
    name: "a redirect leads to a file",
    faults: [{ path: "{layer}", answer: { status: 302, headers: { location: "file:///etc/passwd" } } }],
    fails: "protocol",
  },
];
// The larger layer's blob as the registry has it; set by each test, for the answer that ignores its range.
let noiseBlob: Buffer = Buffer.alloc(0);

describe("a pull, when", () => {
  test.for(cases)("$name", async ({ faults, fails, check }) => {
    await using stage = await scene({ session: { idleTimeout: 150 } });
    const { image, layers, imageId, blobs } = await stored(stage);
    const digest = layers[1]?.digest ?? "";
    noiseBlob = blobs.get(digest) as Buffer;
    for (const fault of faults) {
      stage.registry.misbehave({
        method: "GET",
        ...fault,
        path: fault.path.replace("{layer}", digest).replace("{config}", imageId),
      });
    }
    const outcome = await pull(stage).catch((error: unknown) => error as Error);
    if (fails === undefined) {
      if (outcome instanceof Error) throw outcome;
      expect(outcome.imageId).toBe(imageId);
      expect(outcome.layers.map(({ diffId }) => diffId)).toEqual(image.layers.map(({ diffId }) => diffId));
      expect(Buffer.from(await bytesOf(outcome.layers[1], "tar"))).toEqual(noise(2 * layerSize, 2));
      check?.(stage, undefined);
    } else {
      expect(isRegistryError(outcome) ? outcome.code : outcome).toBe(fails);
      expect(await cached(stage)).not.toContain(digest.slice("sha256:".length));
      check?.(stage, outcome as Error);
    }
    expect((await cached(stage)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  test("a layer was cut off: what had arrived is not fetched again", async () => {
    await using stage = await scene();
    const { layers, manifest } = await stored(stage);
    stage.registry.misbehave({ method: "GET", path: layers[1]?.digest ?? "", cutAnswer: 90_000 });
    await pull(stage);
    const ranges = stage.registry.requests
      .map((request) => request.headers.range)
      .filter((range) => range !== undefined);
    expect(ranges).toEqual(["bytes=90000-"]);
    expect(manifest.size).toBeGreaterThan(0);
  });

  test("a blob is kept by another host: it is fetched there, without the password", async () => {
    await using stage = await scene({ access: { scheme: "basic", ...user } });
    await using other = await scene();
    const { layers, blobs } = await stored(stage);
    const digest = layers[1]?.digest ?? "";
    other.registry.repository("far/away").blobs.set(digest, blobs.get(digest) as Buffer);
    stage.registry.misbehave({
      method: "GET",
      path: digest,
      answer: {
        status: 307,
        headers: { location: `${other.registry.origin}/v2/far/away/blobs/${digest}?X-Signature=secret` },
      },
    });
    await pull(stage);
    expect(other.registry.requests.map(({ headers: sent }) => sent.authorization)).toEqual([undefined]);
  });

  test("the other host fails: its signed address is not repeated", async () => {
    await using stage = await scene();
    await using other = await scene();
    const { layers } = await stored(stage);
    stage.registry.misbehave({
      method: "GET",
      path: layers[1]?.digest ?? "",
      answer: { status: 307, headers: { location: `${other.registry.origin}/x?X-Signature=topsecret` } },
    });
    const error = await pull(stage).catch((caught: unknown) => caught as Error);
    expect(error).toMatchObject({ code: "not-found" });
    expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain("topsecret");
  });

  test("a config that lies about a layer's content is found out when the layer is read", async () => {
    await using stage = await scene();
    const layer = noiseLayer(1000, 5);
    const lying = { ...layer, diffId: layerFromBytes(noise(1000, 6)).diffId };
    const honest = imageOf([layer]);
    await pushImage(
      stage.repository,
      { ...imageOf([lying]), layers: honest.layers },
      { tag: "12", signal: stage.abort.signal },
    );
    const image = await pull(stage);
    const error = await bytesOf(image.layers[0], "tar").catch((caught: unknown) => caught);
    expect(isOciError(error) && error.code).toBe("digest-mismatch");
  });

  test("the config names more layers than there are", async () => {
    await using stage = await scene();
    const layers = [noiseLayer(1000, 5), noiseLayer(1000, 6)];
    await pushImage(
      stage.repository,
      { ...imageOf(layers), layers: layers.slice(1) },
      { tag: "12", signal: stage.abort.signal },
    );
    await expect(pull(stage)).rejects.toMatchObject({ code: "protocol" });
  });
});

describe("a pull by platform", () => {
  async function withIndex(stage: Scene) {
    const { manifest } = await stored(stage);
    const index = buildIndex([
      { ...manifest, platform: { os: "unknown", architecture: "unknown" } },
      { ...manifest, platform: { os: "linux", architecture: "s390x" } },
      { ...manifest, platform },
    ]);
    const descriptor = descriptorOf(index, "application/vnd.oci.image.index.v1+json");
    await stage.repository.putManifest("many", { descriptor, content: index });
    return { manifest, descriptor };
  }

  test("chooses from an index, and pins what it chose", async () => {
    await using stage = await scene();
    const { manifest, descriptor } = await withIndex(stage);
    const byTag = await pull(stage, { tag: "many" });
    expect(byTag.pinned).toBe(
      formatReference({ registry: stage.registry.host, repository: repositoryName, digest: manifest.digest }),
    );
    await expect(pull(stage, { digest: descriptor.digest })).resolves.toMatchObject({ pinned: byTag.pinned });
  });

  test.for(["many", "12"])("refuses another platform, naming what there is: %s", async (tag) => {
    await using stage = await scene();
    await withIndex(stage);
    const pulling = pullImage(
      { registry: stage.registry.host, repository: repositoryName, tag },
      { ...stage.session, platform: { os: "linux", architecture: "riscv64" }, cacheDirectory: stage.directory },
    );
    await expect(pulling).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(/riscv64, only for .*amd64/),
    });
  });

  test("an index whose entry is another image than it says", async () => {
    await using stage = await scene();
    await withIndex(stage);
    stage.registry.misbehave({
      method: "GET",
      path: /manifests\/sha256/,
      change: (reply) => headers({ "docker-content-digest": undefined })(flipped(reply)),
    });
    await expect(pull(stage, { tag: "many" })).rejects.toMatchObject({ code: "digest" });
  });
});

describe("the cache", () => {
  test("spares every layer the second time, and says so", async () => {
    await using stage = await scene();
    const { layers } = await stored(stage);
    await pull(stage);
    const before = stage.registry.requests.length;
    const told: [number, number][] = [];
    await pullImage(formatReference({ registry: stage.registry.host, repository: repositoryName, tag: "12" }), {
      ...stage.session,
      platform,
      cacheDirectory: join(stage.directory, "cache"),
      onProgress: (done, total) => told.push([done, total]),
    });
    const later = stage.registry.requests.slice(before).map(({ url }) => url);
    for (const { digest } of layers) expect(later.some((url) => url.includes(digest))).toBe(false);
    const total = layers.reduce((sum, { size }) => sum + size, 0);
    expect(told.at(-1)).toEqual([total, total]);
  });

  test("replaces a damaged layer", async () => {
    await using stage = await scene();
    const { layers, blobs } = await stored(stage);
    await pull(stage);
    const [{ digest } = { digest: "" }] = layers;
    const path = join(stage.directory, "cache", "sha256", hexOf(digest as `sha256:${string}`));
    await writeFile(path, noise(blobs.get(digest)?.length ?? 0, 99));
    const image = await pull(stage);
    expect(await bytesOf(image.layers[0], "blob")).toEqual(blobs.get(digest));
  });

  test("lets two pulls into it at the same time", async () => {
    await using stage = await scene();
    await stored(stage);
    const [one, two] = await Promise.all([pull(stage), pull(stage)]);
    expect(one.imageId).toBe(two.imageId);
    expect(await cached(stage)).toHaveLength(2);
  });
});
