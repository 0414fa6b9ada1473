import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DebugImage, ExportContext } from "@melange2/core";
import {
  type DaemonFault,
  exporterSuite,
  fakeDockerDaemon,
  randomDebugImage,
  testExportContext,
} from "@melange2/testkit";
import { describe, expect, onTestFinished, test } from "vitest";
import { docker } from "./docker.ts";

const signal = new AbortController().signal;

async function exported(address: string, image: DebugImage, context: Partial<ExportContext> = {}) {
  const prepared = await docker.prepare(
    { ref: "debug:{build}" },
    testExportContext({ ...context, env: { DOCKER_HOST: address, ...context.env } }),
  );
  return prepared.export(image, { signal, failure: { build: "b-7", step: "main-1" }, onProgress: () => {} });
}

describe.each(["classic", "containerd"] as const)("the suite for exporters, %s image store", (store) =>
  exporterSuite({
    test,
    exporter: docker,
    async subject() {
      const daemon = await fakeDockerDaemon({ store });
      return {
        options: { ref: "debug:failed-build" },
        context: { env: { DOCKER_HOST: daemon.address } },
        arrived: async () => daemon.images.get("debug:failed-build"),
        [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
      };
    },
    refused: {
      "a name that no image can have": () => ({ ref: "Debug:x" }),
      "a digest": () => ({ ref: `debug@sha256:${"0".repeat(64)}` }),
    },
  }),
);

test("the image ID is the one that the daemon shows", async () => {
  const image = randomDebugImage();
  await using local = await image.open({ signal });
  for (const store of ["classic", "containerd"] as const) {
    await using daemon = await fakeDockerDaemon({ store });
    const receipt = await exported(daemon.address, image);
    expect(receipt.imageId).toBe(store === "classic" ? local.imageId : receipt.manifest?.digest);
    expect(receipt.imageId).not.toBe(store === "classic" ? receipt.manifest?.digest : local.imageId);
  }
});

test.each(["classic", "containerd"] as const)("an image that is there gets only its name, %s", async (store) => {
  await using daemon = await fakeDockerDaemon({ store });
  const image = randomDebugImage();
  const first = await exported(daemon.address, image);
  const sent = daemon.loadedBytes;
  const prepared = await docker.prepare(
    { ref: "other:name" },
    testExportContext({ env: { DOCKER_HOST: daemon.address } }),
  );
  const again = await prepared.export(image, { signal, failure: { build: "b", step: "s" }, onProgress: () => {} });
  expect(again).toMatchObject({ imageId: first.imageId, bytes: 0 });
  expect(daemon.loadedBytes).toBe(sent);
  expect([...daemon.images.keys()]).toEqual(["debug:b-7", "other:name"]);
});

test("the engine is told which daemon it is", async () => {
  await using daemon = await fakeDockerDaemon();
  const image = randomDebugImage();
  const told: unknown[] = [];
  const deliver: DebugImage["deliver"] = async (target) => {
    told.push(target);
    return { imageId: `sha256:${"1".repeat(64)}`, bytes: 5 };
  };
  await exported(daemon.address, { ...image, deliver });
  expect(told).toEqual([{ kind: "docker-daemon", daemonId: daemon.id, names: ["debug:b-7"] }]);
  expect(daemon.loadedBytes).toBe(0);
});

test("says where the image went that had the name before", async () => {
  await using daemon = await fakeDockerDaemon();
  const first = await exported(daemon.address, randomDebugImage());
  const second = await exported(daemon.address, randomDebugImage());
  expect(first.note).toBeUndefined();
  expect(second.note).toContain(first.imageId);
});

const big = randomDebugImage({ bytes: 400_000 });
const faults: readonly [string, string, DaemonFault, RegExp][] = [
  [
    "an error inside a 200",
    "POST /images/load",
    { kind: "error-in-answer", message: "unexpected EOF" },
    /unexpected EOF/,
  ],
  [
    "no space left",
    "POST /images/load",
    { kind: "error-in-answer", message: "no space left on device" },
    /no space left/,
  ],
  ["a 500 to the load", "POST /images/load", { kind: "status", status: 500, message: "panic" }, /panic \(HTTP 500\)/],
  ["a load cut at once", "POST /images/load", { kind: "cut", afterBytes: 0 }, /cut the connection/],
  ["a load cut half-way", "POST /images/load", { kind: "cut", afterBytes: 300_000 }, /cut the connection/],
  ["a cut answer", "POST /images/load", { kind: "cut-answer" }, /cannot be used: aborted|cut the connection/],
  ["a 500 to the first question", "GET /info", { kind: "status", status: 500, message: "no" }, /no \(HTTP 500\)/],
  ["a proxy's 403", "GET /info", { kind: "status", status: 403, message: "forbidden" }, /forbidden \(HTTP 403\)/],
  ["something that is no Docker", "GET /info", { kind: "status", status: 404, message: "?" }, /no Docker daemon/],
  ["a cut version", "GET /version", { kind: "cut", afterBytes: 0 }, /cut the connection/],
];
test.each(faults)("%s is an export error with a hint, and loads nothing", async (_, route, fault, message) => {
  let broken = true;
  await using daemon = await fakeDockerDaemon({
    fault: (request) => (broken && request === route ? fault : undefined),
  });
  await expect(exported(daemon.address, big)).rejects.toMatchObject({
    code: "export",
    message: expect.stringMatching(message),
    hint: expect.stringMatching(/\S/),
  });
  expect(daemon.images.size).toBe(0);
  broken = false;
  await exported(daemon.address, big);
  expect(daemon.images.has("debug:b-7")).toBe(true);
});

test("another image under the name afterwards is an error", async () => {
  const thief = randomDebugImage();
  await using other = await fakeDockerDaemon();
  await exported(other.address, thief);
  const stolen = other.images.get("debug:b-7");
  await using daemon = await fakeDockerDaemon({
    fault: (request) => {
      const loaded = daemon.images.has("debug:b-7");
      if (loaded && stolen && request.startsWith("GET /images/"))
        (daemon.images as Map<string, typeof stolen>).set("debug:b-7", stolen);
      return undefined;
    },
  });
  await expect(exported(daemon.address, big)).rejects.toMatchObject({
    code: "export",
    message: expect.stringContaining("not sha256:"),
  });
});

test("an interrupt ends a load that the daemon does not read", async () => {
  const stop = new AbortController();
  const never = new Promise<void>(() => {});
  await using daemon = await fakeDockerDaemon({
    fault: (request) => {
      if (request !== "POST /images/load") return undefined;
      queueMicrotask(() => stop.abort());
      return { kind: "wait", until: never };
    },
  });
  const prepared = await docker.prepare(
    { ref: "debug:x" },
    testExportContext({ env: { DOCKER_HOST: daemon.address } }),
  );
  const loading = prepared.export(randomDebugImage({ bytes: 5_000_000 }), {
    signal: stop.signal,
    failure: { build: "b", step: "s" },
    onProgress: () => {},
  });
  await expect(loading).rejects.toMatchObject({ code: "interrupted" });
  expect(daemon.images.size).toBe(0);
});

test("a daemon that is not there is found before the build, with what to do", async () => {
  const env = { DOCKER_HOST: "unix:///nonexistent/docker.sock" };
  const prepared = await docker.prepare({ ref: "debug:x" }, testExportContext({ env }));
  expect(await prepared.probe?.({ signal })).toEqual([
    {
      severity: "error",
      message: "no Docker daemon answers at unix:///nonexistent/docker.sock (ENOENT)",
      hint: expect.stringContaining("DOCKER_HOST"),
    },
  ]);
});

test("a daemon of another architecture is a warning", async () => {
  await using daemon = await fakeDockerDaemon({ architecture: "aarch64" });
  const env = { DOCKER_HOST: daemon.address };
  const prepared = await docker.prepare({ ref: "debug:x" }, testExportContext({ env }));
  expect(await prepared.probe?.({ signal })).toMatchObject([
    { severity: "warning", message: expect.stringContaining("aarch64") },
  ]);
});

test("the command reaches the same daemon", async () => {
  await using dockerd = await fakeDockerDaemon();
  expect((await exported(dockerd.address, randomDebugImage())).open).toEqual([
    ["docker", "-H", dockerd.address, "run", "-it", "--rm", "debug:b-7", "/bin/sh"],
  ]);
  await using podman = await fakeDockerDaemon({ product: "podman" });
  const receipt = await exported(podman.address, randomDebugImage(), { runtimes: ["podman"] });
  expect(receipt.open).toEqual([["podman", "--url", podman.address, "run", "-it", "--rm", "debug:b-7", "/bin/sh"]]);
});

test("TLS both ways, and no connection to a server that nobody vouches for", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "melange2-tls-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const made = spawnSync("openssl", [
    ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=daemon"],
    ...["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")],
  ]);
  if (made.status !== 0) return context.skip("needs openssl");
  const [cert, key] = await Promise.all(["cert.pem", "key.pem"].map((name) => readFile(join(folder, name), "utf8")));
  if (!cert || !key) throw new Error("openssl wrote nothing");
  await writeFile(join(folder, "ca.pem"), cert);
  await using daemon = await fakeDockerDaemon({ tls: { cert, key, ca: cert, requestCert: true } });

  const env = { DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: folder };
  const receipt = await exported(daemon.address, randomDebugImage(), { env });
  expect(daemon.images.has("debug:b-7")).toBe(true);
  expect(receipt.open[0]).toContain("--tlsverify");

  const strangers = { DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: tmpdir(), HOME: folder };
  await expect(exported(daemon.address, randomDebugImage(), { env: strangers })).rejects.toMatchObject({
    code: "export",
    message: expect.stringContaining("no trusted TLS connection"),
    hint: expect.stringContaining("DOCKER_CERT_PATH"),
  });
});
