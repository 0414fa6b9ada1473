import { describe, expect, test } from "vitest";
import { isDigest, parseDigest } from "./digest.ts";
import { buildImageConfig, parseImageConfig } from "./image-config.ts";
import { buildIndex, buildManifest, parseIndex, parseManifest } from "./manifest.ts";
import { platformMatches } from "./platform.ts";
import { familiarReference, formatReference, parseReference } from "./reference.ts";

const digest = `sha256:${"a".repeat(64)}` as const;
const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const spec = {
  platform: { os: "linux", architecture: "arm64", variant: "v8" },
  config: { Env: ["A=1"], WorkingDir: "/w", Cmd: ["sh"], Labels: { b: "2", a: "1" }, User: "", Volumes: { "/v": {} } },
  diffIds: [digest],
  history: ["RUN it"],
  labels: { a: "wins" },
  created: "2026-01-02T03:04:05Z",
};

describe("image config", () => {
  test("is exactly what the specification says, and the same for the same spec", () => {
    const { content, imageId } = buildImageConfig(spec);
    expect(JSON.parse(Buffer.from(content).toString())).toEqual({
      created: "2026-01-02T03:04:05Z",
      architecture: "arm64",
      variant: "v8",
      os: "linux",
      config: { Env: ["A=1"], Cmd: ["sh"], WorkingDir: "/w", Labels: { a: "wins", b: "2" }, Volumes: { "/v": {} } },
      rootfs: { type: "layers", diff_ids: [digest] },
      history: [{ created: "2026-01-02T03:04:05Z", created_by: "RUN it" }],
    });
    const shuffled = {
      ...spec,
      config: { Volumes: { "/v": {} }, Labels: { a: "1", b: "2" }, Cmd: ["sh"], WorkingDir: "/w", Env: ["A=1"] },
    };
    expect(buildImageConfig(shuffled).imageId).toBe(imageId);
  });

  test("comes back as it was", () => {
    const file = parseImageConfig(buildImageConfig(spec).content);
    expect(file).toMatchObject({
      platform: spec.platform,
      diffIds: [digest],
      history: [{ created_by: "RUN it" }],
      config: { Env: ["A=1"] },
    });
  });

  test("history must fit the layers, created must be a time", () => {
    expect(() => buildImageConfig({ ...spec, history: [] })).toThrow(/0 history entries for 1 layers/);
    expect(() => buildImageConfig({ ...spec, history: ["a", { empty_layer: true, created_by: "ENV" }] })).not.toThrow();
    expect(() => buildImageConfig({ ...spec, created: "yesterday" })).toThrow(/RFC 3339/);
  });

  test("nulls that Docker writes count as absent", () => {
    const docker = {
      architecture: "amd64",
      os: "linux",
      config: { Env: null, Cmd: null, Labels: null },
      rootfs: { type: "layers", diff_ids: null },
      history: null,
    };
    expect(parseImageConfig(json(docker))).toEqual({
      platform: { os: "linux", architecture: "amd64" },
      config: {},
      diffIds: [],
      history: [],
    });
  });

  test.each([
    [{}, /rootfs should be an object, found nothing/],
    [{ rootfs: { type: "base" }, os: "linux", architecture: "x" }, /rootfs.type/],
    [{ rootfs: { type: "layers", diff_ids: ["md5:1"] }, os: "linux", architecture: "x" }, /diff_ids\[0\]/],
    [{ rootfs: { type: "layers" }, os: 1, architecture: "x" }, /os should be a string, found 1/],
    [
      { rootfs: { type: "layers" }, os: "linux", architecture: "x", config: { Env: "A" } },
      /config.Env should be a list/,
    ],
    [[], /should be an object/],
  ])("%j is refused where it is wrong", (value, message) => {
    expect(() => parseImageConfig(json(value))).toThrow(message);
  });
});

describe("manifest and index", () => {
  const layer = { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest, size: 3 };

  test("come back as they were", () => {
    const { content, descriptor } = buildManifest({
      config: json({}),
      layers: [layer],
      annotations: { b: "2", a: "1" },
    });
    expect(parseManifest(content)).toMatchObject({ layers: [layer], annotations: { a: "1", b: "2" } });
    const index = parseIndex(buildIndex([{ ...descriptor, platform: { os: "linux", architecture: "amd64" } }]));
    expect(index.manifests).toEqual([{ ...descriptor, platform: { os: "linux", architecture: "amd64" } }]);
  });

  const config = { mediaType: "application/vnd.oci.image.config.v1+json", digest, size: 2 };
  test.each([
    [{ schemaVersion: 1 }, "unsupported"],
    [{}, "invalid"],
    [{ schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json" }, "unsupported"],
    [
      { schemaVersion: 2, config: { ...config, mediaType: "application/vnd.cncf.helm.config.v1+json" }, layers: [] },
      "unsupported",
    ],
    [{ schemaVersion: 2, config, layers: [{ ...layer, mediaType: `${layer.mediaType}+encrypted` }] }, "unsupported"],
    [{ schemaVersion: 2, config, layers: [{ ...layer, size: -1 }] }, "invalid"],
    [{ schemaVersion: 2, config, layers: [{ ...layer, digest: "sha512:00" }] }, "unsupported"],
    [{ schemaVersion: 2, config }, "invalid"],
  ])("%j is %s", (value, code) => {
    expect(() => parseManifest(json(value))).toThrow(expect.objectContaining({ code }));
  });
});

test.each([
  ["debian", "docker.io/library/debian", "debian"],
  ["debian:12", "docker.io/library/debian:12", "debian:12"],
  ["team/app:1", "docker.io/team/app:1", "team/app:1"],
  ["index.docker.io/x", "docker.io/library/x", "x"],
  ["localhost/x:1", "localhost/x:1", "localhost/x:1"],
  ["localhost:5000/x", "localhost:5000/x", "localhost:5000/x"],
  ["[::1]:5000/a/b:c", "[::1]:5000/a/b:c", "[::1]:5000/a/b:c"],
  [`r.example.com/x:1@${digest}`, `r.example.com/x:1@${digest}`, `r.example.com/x:1@${digest}`],
])("the name %s is %s", (text, full, familiar) => {
  const reference = parseReference(text);
  expect(formatReference(reference)).toBe(full);
  expect(familiarReference(reference)).toBe(familiar);
  expect(parseReference(full)).toEqual(reference);
});

test.each(["", ":", "/", "a b", "a//b", "A", "a:", "a@", "a@sha256:1", "http://x/y", "a/../b", "-x/y.z", "a:b/c:d e"])(
  "%j is no name",
  (text) => {
    expect(() => parseReference(text)).toThrow(/is no image name/);
  },
);

test("digests", () => {
  expect(isDigest(digest)).toBe(true);
  expect(() => parseDigest(`sha512:${"a".repeat(128)}`, "x")).toThrow(expect.objectContaining({ code: "unsupported" }));
  for (const bad of ["", "sha256:A", `sha256:${"A".repeat(64)}`, 5, null])
    expect(() => parseDigest(bad, "x")).toThrow(/x is no digest/);
});

test("platforms", () => {
  const arm64 = { os: "linux", architecture: "arm64" };
  expect(platformMatches({ ...arm64, variant: "v8" }, arm64)).toBe(true);
  expect(
    platformMatches(
      { os: "linux", architecture: "arm", variant: "v6" },
      { os: "linux", architecture: "arm", variant: "v7" },
    ),
  ).toBe(false);
  expect(
    platformMatches({ os: "linux", architecture: "arm" }, { os: "linux", architecture: "arm", variant: "v7" }),
  ).toBe(true);
  expect(platformMatches(arm64, { os: "linux", architecture: "amd64" })).toBe(false);
});
