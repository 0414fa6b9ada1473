import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { isMelangeError } from "@melange2/core";
import { layerFromBytes } from "@melange2/oci";
import { randomDebugImage, testExportContext } from "@melange2/testkit";
import { program, provided } from "@melange2-tooling/services";
import { describe, expect, onTestFinished, test } from "vitest";
import { registry as exporter } from "./registry.ts";

/** The variables that the tests' set-up gives: address, and what it takes to get in. */
const registries = [
  { name: "docker-registry 2.8", address: "MELANGE2_TEST_REGISTRY" },
  {
    name: "docker-registry 2.8 with a password",
    address: "MELANGE2_TEST_REGISTRY_AUTH",
    login: { username: "MELANGE2_TEST_REGISTRY_AUTH_USER", password: "MELANGE2_TEST_REGISTRY_AUTH_PASSWORD" },
  },
  { name: "docker-registry 2.8 with TLS", address: "MELANGE2_TEST_REGISTRY_TLS", ca: "MELANGE2_TEST_REGISTRY_TLS_CA" },
  { name: "distribution 3.0", address: "MELANGE2_TEST_REGISTRY3" },
] as const;
const daemons = [
  { name: "Docker 20.10", socket: "MELANGE2_TEST_DOCKER20" },
  { name: "Docker 28", socket: "MELANGE2_TEST_DOCKER28" },
  { name: "Docker 28 with the containerd image store", socket: "MELANGE2_TEST_DOCKER28_CONTAINERD" },
] as const;

const run = promisify(execFile);
const { signal } = new AbortController();
// No other run pushes to the same repository.
const repository = `exporter/test-${Date.now()}`;

async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "melange2-exporter-registry-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

function exportOf(ref: string, more: { ca?: string; env?: Record<string, string> } = {}) {
  return exporter.prepare({ ref, insecure: false, ca: more.ca }, testExportContext({ env: more.env ?? {} }));
}

const options = { signal, failure: { build: "b-7", step: "main-1" }, onProgress: () => {} };

describe.for(registries)("$name", (server) => {
  test("lets the probe in, takes the image, and skopeo finds it as it was sent", async (context) => {
    const skopeo = program(context, "skopeo");
    const host = provided(context, server.address);
    const folder = await scratch();
    const login =
      "login" in server
        ? `${provided(context, server.login.username)}:${provided(context, server.login.password)}`
        : undefined;
    const auths = login === undefined ? {} : { [host]: { auth: Buffer.from(login).toString("base64") } };
    await writeFile(join(folder, "config.json"), JSON.stringify({ auths }));
    const ca = "ca" in server ? provided(context, server.ca) : undefined;
    if (ca !== undefined) await writeFile(join(folder, "ca.crt"), await readFile(ca));

    const prepared = await exportOf(`${host}/${repository}:{step}`, {
      ...(ca === undefined ? {} : { ca }),
      env: { DOCKER_CONFIG: folder },
    });
    expect(await prepared.probe?.({ signal })).toEqual([]);
    const receipt = await prepared.export(randomDebugImage(), options);

    const access = [
      ...(ca === undefined ? ["--tls-verify=false"] : [`--cert-dir=${folder}`]),
      ...(login === undefined ? [] : [`--creds=${login}`]),
    ];
    const reference = `docker://${receipt.location}`;
    const inspected = JSON.parse((await run(skopeo, ["inspect", ...access, reference])).stdout);
    expect(inspected).toMatchObject({ Digest: receipt.manifest?.digest, Env: ["PATH=/usr/bin:/bin", "STEP=main-1"] });
    const raw = JSON.parse((await run(skopeo, ["inspect", "--raw", ...access, reference])).stdout);
    expect(raw.config.digest).toBe(receipt.imageId);
  });
});

test("a password that the registry refuses is in no message", async (context) => {
  const host = provided(context, "MELANGE2_TEST_REGISTRY_AUTH");
  const folder = await scratch();
  const auth = Buffer.from("melange2:not-the-password").toString("base64");
  await writeFile(join(folder, "config.json"), JSON.stringify({ auths: { [host]: { auth } } }));
  const prepared = await exportOf(`${host}/${repository}:x`, { env: { DOCKER_CONFIG: folder } });
  const [finding] = (await prepared.probe?.({ signal })) ?? [];
  expect(finding).toMatchObject({ severity: "error", hint: expect.stringContaining("docker login") });
  const error = await prepared.export(randomDebugImage(), options).catch((caught: unknown) => caught);
  expect(isMelangeError(error) && error.code).toBe("export");
  expect(`${JSON.stringify(finding)} ${(error as Error).stack}`).not.toMatch(/not-the-password|bWVsYW5nZTI6bm90/);
});

test("an authority that is not named is not trusted", async (context) => {
  const host = provided(context, "MELANGE2_TEST_REGISTRY_TLS");
  const prepared = await exportOf(`${host}/${repository}:x`);
  expect(await prepared.probe?.({ signal })).toMatchObject([
    { severity: "error", hint: expect.stringContaining("--export-ca") },
  ]);
});

describe.for(daemons)("$name", (daemon) => {
  test("runs what was pushed, by the command in the receipt, where the step failed", async (context) => {
    const host = provided(context, "MELANGE2_TEST_REGISTRY");
    const socket = provided(context, daemon.socket);
    const busybox = layerFromBytes(await readFile(provided(context, "MELANGE2_TEST_BUSYBOX_TAR")));
    const prepared = await exportOf(`${host}/${repository}:run`);
    const receipt = await prepared.export(randomDebugImage({ base: [busybox] }), options);
    const [docker = "", command, , ...rest] = receipt.open[0] ?? [];
    expect([docker, command]).toEqual(["docker", "run"]);
    // Without a terminal and a network, which the tests' daemons have not.
    const argv = ["-H", `unix://${socket}`, "run", "--network=none", ...rest, "-c", 'pwd; echo "$STEP"; ls /.melange2'];
    expect((await run(docker, argv)).stdout).toBe("/home/build\nmain-1\nrecord.json\n");
  });
});
