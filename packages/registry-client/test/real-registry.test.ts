import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { collect, layerFromEntries, tarHeader } from "@melange2/oci";
import { program, provided } from "@melange2-tooling/services";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openRepository, pullImage, pushImage, type SessionOptions } from "../src/index.ts";
import { blobOf, imageOf, noise, platform } from "./scene.ts";

/** The variables that the tests' set-up gives: address, and what it takes to get in. */
const servers = [
  { name: "docker-registry 2.8", address: "MELANGE2_TEST_REGISTRY" },
  {
    name: "docker-registry 2.8 with a password",
    address: "MELANGE2_TEST_REGISTRY_AUTH",
    login: { username: "MELANGE2_TEST_REGISTRY_AUTH_USER", password: "MELANGE2_TEST_REGISTRY_AUTH_PASSWORD" },
  },
  { name: "docker-registry 2.8 with TLS", address: "MELANGE2_TEST_REGISTRY_TLS", ca: "MELANGE2_TEST_REGISTRY_TLS_CA" },
  { name: "distribution 3.0", address: "MELANGE2_TEST_REGISTRY3" },
] as const;

const run = promisify(execFile);
// Every run pushes content that no registry has yet.
const unique = Date.now();

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "melange2-real-registry-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

function stepLayer(seed: number, size = 200_000) {
  const body = noise(size, unique + seed);
  return layerFromEntries([{ header: tarHeader({ name: `step-${seed}`, type: "file", size }), body }]);
}

describe.for(servers)("$name", (server) => {
  const repository = `melange2/test-${unique}`;
  const { signal } = new AbortController();
  let host: string;
  let user: { readonly username: string; readonly password: string } | undefined;
  let ca: string | undefined;
  let session: SessionOptions;

  beforeEach(async (test) => {
    host = provided(test, server.address);
    user =
      "login" in server
        ? { username: provided(test, server.login.username), password: provided(test, server.login.password) }
        : undefined;
    ca = "ca" in server ? await readFile(provided(test, server.ca), "utf8") : undefined;
    session = { signal, tls: ca === undefined ? {} : { ca }, credentials: async () => user };
  });

  test("takes and gives back an image, and a second one for the price of its difference", async () => {
    using opened = openRepository({ registry: host, repository }, session);
    await opened.ping();
    await opened.tryUpload();
    const base = [stepLayer(1, 1_000_000), stepLayer(2)];
    const first = await pushImage(opened, imageOf([...base, stepLayer(3)]), { tag: "one", signal });
    const second = await pushImage(opened, imageOf([...base, stepLayer(4)]), { tag: "two", signal });
    expect(first.bytes).toBeGreaterThan(1_400_000);
    expect(second.bytes).toBeLessThan(1.05 * 200_000);
    expect(await opened.headManifest("two")).toMatchObject({ digest: second.manifest.digest });

    const pulled = await pullImage(
      { registry: host, repository, tag: "two" },
      { ...session, platform, cacheDirectory: directory },
    );
    expect(pulled.imageId).toBe(second.imageId);
    const top = pulled.layers.at(-1);
    expect(top?.diffId).toBe(stepLayer(4).diffId);
    expect(await collect(top?.open("tar") ?? fail(), 1e9, "layer")).toHaveLength(stepLayer(4).tarSize ?? 0);
  });

  test("takes a blob in chunks, and mounts it elsewhere", async () => {
    using opened = openRepository({ registry: host, repository }, session);
    const blob = blobOf(noise(700_000, unique + 10));
    await expect(opened.uploadBlob(blob, { mode: "chunks", chunkSize: 200_000 })).resolves.toBe("uploaded");
    await expect(opened.uploadBlob(blob)).resolves.toBe("existed");
    using elsewhere = openRepository({ registry: host, repository: `${repository}-elsewhere` }, session);
    await expect(elsewhere.uploadBlob(blob, { mountFrom: [repository] })).resolves.toBe("mounted");
    expect(await collect(elsewhere.readBlob(blob.descriptor), 1e9, "blob")).toEqual(noise(700_000, unique + 10));
  });

  test("has pushed what skopeo can inspect and copy", async (test) => {
    const skopeo = program(test, "skopeo");
    using opened = openRepository({ registry: host, repository }, session);
    const image = imageOf([stepLayer(5), stepLayer(6)]);
    const pushed = await pushImage(opened, image, { tag: "judged", signal });
    const certificates = join(directory, "certs");
    if (ca !== undefined) {
      await mkdir(certificates);
      await writeFile(join(certificates, "ca.crt"), ca);
    }
    const access = (prefix: "" | "src-") => [
      ...(ca !== undefined ? [`--${prefix}cert-dir=${certificates}`] : [`--${prefix}tls-verify=false`]),
      ...(user !== undefined ? [`--${prefix}creds=${user.username}:${user.password}`] : []),
    ];
    const from = `docker://${host}/${repository}:judged`;
    const inspected = JSON.parse((await run(skopeo, ["inspect", ...access(""), from])).stdout);
    expect(inspected).toMatchObject({
      Digest: pushed.manifest.digest,
      Architecture: "amd64",
      Os: "linux",
      Env: ["STEP=main-1"],
    });
    expect(inspected.Layers).toHaveLength(2);
    // Copying reads every layer and compares every digest.
    await run(skopeo, ["copy", ...access("src-"), from, `oci:${join(directory, "layout")}:judged`]);
  });

  if ("login" in server) {
    test("refuses a wrong password without repeating it", async () => {
      const credentials = async () => ({ username: "melange2", password: "not-the-password" });
      using opened = openRepository({ registry: host, repository }, { ...session, credentials });
      const error = await opened.tryUpload().catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: "unauthorized" });
      expect(String(error)).not.toContain("not-the-password");
    });
  }
});

function fail(): never {
  throw new Error("there is no such layer");
}
