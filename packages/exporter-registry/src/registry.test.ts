import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DebugImage, type ExportContext, isMelangeError, type Target } from "@melange2/core";
import { parseImageConfig, parseManifest } from "@melange2/oci";
import {
  exporterSuite,
  type MemoryRegistry,
  type MemoryRegistryOptions,
  randomDebugImage,
  startMemoryRegistry,
  testExportContext,
} from "@melange2/testkit";
import { describe, expect, onTestFinished, test } from "vitest";
import { registry as exporter } from "./registry.ts";

const user = { username: "tester", password: "correct-horse-battery" };
const failure = { build: "b-7", step: "main-1" };

describe("the suite for exporters", () =>
  exporterSuite({
    test,
    exporter,
    async subject() {
      const server = await startMemoryRegistry();
      return {
        options: { ref: `${server.host}/team/debug:failed`, insecure: false, ca: undefined },
        arrived: async () => arrived(server, "team/debug", "failed"),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
    refused: {
      "no registry": (options) => ({ ...options, ref: "debug:failed" }),
      "a digest": (options) => ({ ...options, ref: `registry.example.com/debug@sha256:${"a".repeat(64)}` }),
      "a URL": (options) => ({ ...options, ref: "https://registry.example.com/debug:failed" }),
      "a name that no image can have": (options) => ({ ...options, ref: "registry.example.com/Debug:x" }),
      "an empty name": (options) => ({ ...options, ref: "" }),
      "an authority that is not there": (options) => ({ ...options, ca: "/nowhere/ca.pem" }),
      "an authority that is none": (options) => ({ ...options, ca: import.meta.filename }),
    },
  }));

function arrived(server: MemoryRegistry, name: string, tag: string) {
  const { tags, manifests, blobs } = server.repository(name);
  const stored = manifests.get(tags.get(tag) ?? "");
  if (stored === undefined) return undefined;
  const { config, diffIds } = parseImageConfig(blobs.get(parseManifest(stored.content).config.digest) as Buffer);
  return { config, diffIds };
}

async function serverOfItsOwn(options?: MemoryRegistryOptions): Promise<MemoryRegistry> {
  const server = await startMemoryRegistry(options);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

/** A docker configuration folder with one user for each registry. */
async function dockerConfig(...registries: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "melange2-exporter-registry-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const auth = Buffer.from(`${user.username}:${user.password}`).toString("base64");
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, "config.json"),
    JSON.stringify({ auths: Object.fromEntries(registries.map((name) => [name, { auth }])) }),
  );
  return folder;
}

function prepared(ref: string, context: Partial<ExportContext> = {}) {
  return exporter.prepare({ ref, insecure: false, ca: undefined }, testExportContext(context));
}

async function exported(ref: string, image: DebugImage, context: Partial<ExportContext> = {}) {
  return (await prepared(ref, context)).export(image, {
    signal: new AbortController().signal,
    failure,
    onProgress: () => {},
  });
}

test("opens the image by its digest, with whatever runs images here", async () => {
  const server = await serverOfItsOwn();
  const ref = `${server.host}/debug/{package}:{step}`;
  const receipt = await exported(ref, randomDebugImage(), { runtimes: ["podman", "docker"] });
  const digest = server.repository("debug/hello").tags.get("main-1");
  expect(receipt).toMatchObject({ location: `${server.host}/debug/hello:main-1`, manifest: { digest } });
  expect(receipt.open).toEqual(
    ["podman", "docker"].map((runtime) => [
      runtime,
      "run",
      "-it",
      "--rm",
      `${server.host}/debug/hello@${digest}`,
      "/bin/sh",
    ]),
  );
  expect((await exported(ref, randomDebugImage(), { runtimes: [] })).open[0]?.[0]).toBe("docker");
});

test("says that the source code is in the image, before and after", async () => {
  const server = await serverOfItsOwn();
  const ref = `${server.host}/debug:{step}`;
  expect((await prepared(ref)).destination).toBe(`${server.host}/debug:{step}, source code included`);
  expect((await exported(ref, randomDebugImage())).note).toContain("source code");
});

test("uploads only what an image that differs in one step adds", async () => {
  const server = await serverOfItsOwn();
  const base = await (
    await randomDebugImage({ layers: 3, bytes: 400_000 }).open({ signal: new AbortController().signal })
  ).layers;
  await exported(`${server.host}/debug:one`, randomDebugImage({ layers: 1, bytes: 100_000, base }));
  const before = server.bytesReceived;
  const receipt = await exported(`${server.host}/debug:two`, randomDebugImage({ layers: 1, bytes: 100_000, base }));
  expect(server.bytesReceived - before).toBeLessThan(1.05 * 100_000);
  expect(receipt.bytes).toBe(server.bytesReceived - before);
});

test("hands the engine credentials for this registry and no other", async () => {
  const server = await serverOfItsOwn({ access: { scheme: "basic", ...user } });
  const folder = await dockerConfig(server.host, "other.example.com");
  const image = randomDebugImage();
  const targets: Target[] = [];
  const watched: DebugImage = {
    ...image,
    deliver: async (target) => {
      targets.push(target);
      return undefined;
    },
  };
  await exported(`${server.host}/debug:x`, watched, { env: { DOCKER_CONFIG: folder } });
  const [target] = targets;
  if (target?.kind !== "registry") throw new Error("the engine was not asked");
  expect(target.reference).toBe(`${server.host}/debug:x`);
  await expect(target.credentials(server.host)).resolves.toEqual(user);
  await expect(target.credentials("other.example.com")).resolves.toBeUndefined();
  expect(JSON.stringify(target)).not.toContain(user.password);
});

describe("a probe", () => {
  const probed = async (ref: string, env: Record<string, string> = {}) =>
    (await prepared(ref, { env })).probe?.({ signal: new AbortController().signal });

  test.each(["basic", "bearer"] as const)("passes with %s credentials, and leaves no upload behind", async (scheme) => {
    const server = await serverOfItsOwn({ access: { scheme, ...user } });
    const env = { DOCKER_CONFIG: await dockerConfig(server.host) };
    await expect(probed(`${server.host}/debug:x`, env)).resolves.toEqual([]);
    expect(server.repository("debug").uploads.size).toBe(0);
  });

  test("finds that nobody is logged in", async () => {
    const server = await serverOfItsOwn({ access: { scheme: "basic", ...user } });
    await expect(probed(`${server.host}/debug:x`)).resolves.toEqual([
      { severity: "error", message: expect.stringContaining("401"), hint: expect.stringContaining("docker login") },
    ]);
  });

  test("finds that this user may not push", async () => {
    const server = await serverOfItsOwn();
    server.misbehave({ method: "POST", answer: { status: 403 } });
    await expect(probed(`${server.host}/debug:x`)).resolves.toMatchObject([{ severity: "error" }]);
  });

  test("finds that nobody answers", async () => {
    const server = await startMemoryRegistry();
    await server[Symbol.asyncDispose]();
    await expect(probed(`${server.host}/debug:x`)).resolves.toMatchObject([{ severity: "error" }]);
  });

  test("finds a docker configuration that cannot be used, once the registry asks for it", async () => {
    const server = await serverOfItsOwn({ access: { scheme: "basic", ...user } });
    const folder = await dockerConfig();
    await writeFile(join(folder, "config.json"), "{");
    const found = await probed(`${server.host}/debug:x`, { DOCKER_CONFIG: folder });
    expect(found).toMatchObject([{ severity: "error", message: expect.stringContaining(folder) }]);
  });
});

test("a push that fails is an export error with a hint, and never repeats the password", async () => {
  const server = await serverOfItsOwn({ access: { scheme: "basic", ...user } });
  const env = { DOCKER_CONFIG: await dockerConfig(server.host) };
  server.misbehave({
    method: "PUT",
    times: 100,
    answer: { status: 400, body: Buffer.from(JSON.stringify({ errors: [{ code: "X", message: user.password }] })) },
  });
  const error = await exported(`${server.host}/debug:x`, randomDebugImage(), { env }).catch(
    (caught: unknown) => caught,
  );
  expect(isMelangeError(error) && error.code).toBe("export");
  expect(isMelangeError(error) && error.hint).not.toBe("");
  for (let told: unknown = error; told instanceof Error; told = told.cause) {
    expect(`${told.stack} ${JSON.stringify(told)}`).not.toContain(user.password);
  }
});

test("a password in the name is refused without being repeated", async () => {
  const error = await prepared(`tester:${user.password}@registry.example.com/debug:x`).catch(
    (caught: unknown) => caught,
  );
  expect(isMelangeError(error) && error.code).toBe("usage");
  expect(String(error)).not.toContain(user.password);
});
