import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { resolveEndpoint } from "./endpoint.ts";

/** A home of its own; files by path. */
async function home(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "melange2-endpoint-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(folder, path, ".."), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

const sha256 = (name: string) => createHash("sha256").update(name).digest("hex");
const context = (name: string, docker: object) => ({
  [`.docker/contexts/meta/${sha256(name)}/meta.json`]: JSON.stringify({ Name: name, Endpoints: { docker } }),
});

test("DOCKER_HOST comes first", async () => {
  const HOME = await home({
    ".docker/config.json": '{"currentContext":"other"}',
    ...context("other", { Host: "tcp://other:1" }),
  });
  expect(await resolveEndpoint({ HOME, DOCKER_HOST: "unix:///run/mine.sock", DOCKER_CONTEXT: "other" })).toEqual({
    address: "unix:///run/mine.sock",
    socketPath: "/run/mine.sock",
    clientArguments: ["-H", "unix:///run/mine.sock"],
  });
});

test.each([
  ["tcp://build.example.com", "build.example.com", 2375],
  ["tcp://build.example.com:80", "build.example.com", 80],
  ["tcp://[::1]:1234/", "::1", 1234],
])("%s", async (address, host, port) => {
  expect(await resolveEndpoint({ DOCKER_HOST: address })).toMatchObject({ host, port });
});

test("TLS is asked for by variables, its files lie in DOCKER_CERT_PATH", async () => {
  const folder = await home({ "ca.pem": "CA", "cert.pem": "CERT", "key.pem": "KEY" });
  const env = { DOCKER_HOST: "tcp://build.example.com", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: folder };
  expect(await resolveEndpoint(env)).toEqual({
    address: "tcp://build.example.com",
    host: "build.example.com",
    port: 2376,
    tls: { ca: "CA", cert: "CERT", key: "KEY", verify: true },
    clientArguments: [
      "-H",
      "tcp://build.example.com",
      "--tlsverify",
      `--tlscacert=${folder}/ca.pem`,
      `--tlscert=${folder}/cert.pem`,
      `--tlskey=${folder}/key.pem`,
    ],
  });
});

test("the current context, with its TLS files", async () => {
  const HOME = await home({
    ".docker/config.json": '{"currentContext":"build server"}',
    ...context("build server", { Host: "tcp://10.0.0.7:2376", SkipTLSVerify: false }),
    [`.docker/contexts/tls/${sha256("build server")}/docker/ca.pem`]: "CA",
  });
  expect(await resolveEndpoint({ HOME })).toEqual({
    address: "tcp://10.0.0.7:2376",
    host: "10.0.0.7",
    port: 2376,
    tls: { ca: "CA", verify: true },
    clientArguments: ["--context", "build server"],
  });
});

test("DOCKER_CONTEXT names another, DOCKER_CONFIG another folder", async () => {
  const HOME = await home({
    ".docker/config.json": '{"currentContext":"one"}',
    ...context("two", { Host: "unix:///run/two.sock" }),
  });
  const env = { DOCKER_CONFIG: join(HOME, ".docker"), HOME: "/nonexistent", DOCKER_CONTEXT: "two" };
  expect(await resolveEndpoint(env)).toMatchObject({
    socketPath: "/run/two.sock",
    clientArguments: ["--context", "two"],
  });
});

test("the default context is the usual socket, which docker finds by itself", async () => {
  const HOME = await home({ ".docker/config.json": '{"currentContext":"default","auths":{}}' });
  const endpoint = await resolveEndpoint({ HOME });
  if (endpoint.socketPath === "/var/run/docker.sock") expect(endpoint.clientArguments).toEqual([]);
  else expect(endpoint.clientArguments).toEqual(["-H", endpoint.address]);
});

test.each<[string, Record<string, string>, RegExp]>([
  ["ssh", { DOCKER_HOST: "ssh://me@build.example.com" }, /ssh/],
  ["nonsense", { DOCKER_HOST: "build.example.com" }, /not understood/],
  ["a relative socket", { DOCKER_HOST: "unix://docker.sock" }, /not understood/],
  ["a socket too long", { DOCKER_HOST: `unix:///${"s".repeat(107)}` }, /longer than 107 bytes/],
  ["a password", { DOCKER_HOST: "tcp://me:hunter22@build.example.com" }, /not understood/],
  ["a context that is not there", { DOCKER_CONTEXT: "gone", HOME: "/nonexistent" }, /"gone" does not exist/],
])("refuses %s", async (_, env, message) => {
  const refused = resolveEndpoint(env);
  await expect(refused).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(message) });
  await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining("hunter22") });
});

test("refuses a config file that is no JSON without showing what is in it", async () => {
  const HOME = await home({ ".docker/config.json": '{"auths": hunter22' });
  const error = await resolveEndpoint({ HOME }).catch((thrown: Error) => thrown);
  expect(error).toMatchObject({ code: "usage" });
  expect(String((error as Error).message) + String((error as Error).cause)).not.toContain("hunter22");
});
