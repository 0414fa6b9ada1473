import { readFileSync } from "node:fs";
import { type RequestOptions, request } from "node:http";
import { request as requestTls } from "node:https";
import { run } from "@melange2-tooling/machine";
import { expect, test } from "vitest";
import { provided } from "../src/provided.ts";

interface Answer {
  status: number;
  body: string;
}

function get(options: RequestOptions & { ca?: string | Buffer }, send: typeof request = request): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = send(options, async (response) => {
      const chunks = await response.toArray();
      resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() });
    });
    sent.on("error", reject);
    sent.end();
  });
}

const at = (address: string): RequestOptions => {
  const [host = "", port = ""] = address.split(":");
  return { host, port, path: "/v2/" };
};

test.for([
  { variable: "MELANGE2_TEST_DOCKER20", version: /^20\.10\./, store: "overlay2" },
  { variable: "MELANGE2_TEST_DOCKER28", version: /^28\./, store: "overlay2" },
  { variable: "MELANGE2_TEST_DOCKER28_CONTAINERD", version: /^28\./, store: "io.containerd.snapshotter.v1" },
])("$variable is that version with that store, and runs a container", async ({ variable, version, store }, context) => {
  const socketPath = provided(context, variable);
  const tar = provided(context, "MELANGE2_TEST_BUSYBOX_TAR");
  const told = JSON.parse((await get({ socketPath, path: "/version" })).body);
  expect(told.Version).toMatch(version);
  expect((await get({ socketPath, path: "/info" })).body).toContain(`"${store}"`);
  const docker = ["docker", "--host", `unix://${socketPath}`];
  await run([...docker, "import", tar, "melange2-tooling:test"]);
  const said = await run([...docker, "run", "--rm", "melange2-tooling:test", "/bin/echo", "hello"]);
  expect(said).toBe("hello\n");
  await run([...docker, "rmi", "melange2-tooling:test"]);
});

test("the open registry takes everybody", async (context) => {
  expect(await get(at(provided(context, "MELANGE2_TEST_REGISTRY")))).toMatchObject({ status: 200 });
});

test("the registry with a password takes only who has it", async (context) => {
  const address = at(provided(context, "MELANGE2_TEST_REGISTRY_AUTH"));
  const user = provided(context, "MELANGE2_TEST_REGISTRY_AUTH_USER");
  const password = provided(context, "MELANGE2_TEST_REGISTRY_AUTH_PASSWORD");
  expect(await get(address)).toMatchObject({ status: 401 });
  expect(await get({ ...address, auth: `${user}:wrong` })).toMatchObject({ status: 401 });
  expect(await get({ ...address, auth: `${user}:${password}` })).toMatchObject({ status: 200 });
});

test("the registry with TLS is trusted only by way of its authority", async (context) => {
  const address = at(provided(context, "MELANGE2_TEST_REGISTRY_TLS"));
  const ca = readFileSync(provided(context, "MELANGE2_TEST_REGISTRY_TLS_CA"));
  expect(await get({ ...address, ca }, requestTls)).toMatchObject({ status: 200 });
  await expect(get(address, requestTls)).rejects.toMatchObject({ code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" });
});

test("distribution 3 answers", async (context) => {
  expect(await get(at(provided(context, "MELANGE2_TEST_REGISTRY3")))).toMatchObject({ status: 200 });
});

test("buildkitd answers on its socket, and over TCP to a client with a certificate", async (context) => {
  const buildctl = provided(context, "MELANGE2_TEST_BUILDCTL");
  const tls = ["CA", "CERT", "KEY"].flatMap((part) => [
    part === "CA" ? "--tlscacert" : `--tls${part.toLowerCase()}`,
    provided(context, `MELANGE2_TEST_BUILDKIT_TLS_${part}`),
  ]);
  const workers = ["debug", "workers"];
  expect(await run([buildctl, "--addr", provided(context, "MELANGE2_TEST_BUILDKIT"), ...workers])).toContain("linux/");
  const tcp = ["--addr", provided(context, "MELANGE2_TEST_BUILDKIT_TCP"), "--tlsservername", "localhost"];
  expect(await run([buildctl, ...tcp, ...tls, ...workers])).toContain("linux/");
  await expect(run([buildctl, ...tcp, ...tls.slice(0, 2), ...workers])).rejects.toThrow();
});
