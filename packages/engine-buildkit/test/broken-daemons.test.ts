import { randomUUID } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noSecrets } from "@melange2/core";
import { isRunning } from "@melange2-tooling/machine";
import { startRelay } from "@melange2-tooling/services";
import { describe, expect, test } from "vitest";
import { type BuildkitOptions, buildkitEngine } from "../src/index.ts";
import { busyboxEnvironment, context, never } from "./daemons.ts";
import { openBuild } from "./open-build.ts";

const buildkitd = process.env.MELANGE2_TEST_BUILDKIT;
const overTcp = process.env.MELANGE2_TEST_BUILDKIT_TCP;
const certificate = {
  ca: process.env.MELANGE2_TEST_BUILDKIT_TLS_CA,
  cert: process.env.MELANGE2_TEST_BUILDKIT_TLS_CERT,
  key: process.env.MELANGE2_TEST_BUILDKIT_TLS_KEY,
};
const tar = process.env.MELANGE2_TEST_BUSYBOX_TAR;
const tenSeconds = 10_000;

function engineAt(options: BuildkitOptions, env: Readonly<Record<string, string>> = {}) {
  const stateDirectory = mkdtempSync(join(tmpdir(), "engine-buildkit-"));
  return buildkitEngine({ stateDirectory, env, options });
}

const open = { capture: true, secrets: noSecrets, network: false, signal: never };

describe("a daemon that is not there", () => {
  test("is a finding that names the address and what to do; opening it is an engine error", async () => {
    const address = "unix:///nowhere/buildkitd.sock";
    const engine = buildkitEngine(context(address, "/nowhere"));
    const expected = { message: expect.stringContaining(address), hint: expect.stringContaining("buildkitd runs") };
    expect(await engine.check({ signal: never })).toMatchObject([{ severity: "error", ...expected }]);
    await expect(engine.open(open)).rejects.toMatchObject({ code: "engine", ...expected });
  });

  test("but takes connections is given up within ten seconds", { timeout: 2 * tenSeconds }, async () => {
    const path = join(mkdtempSync(join(tmpdir(), "engine-buildkit-")), "silent.sock");
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const began = Date.now();
    await expect(buildkitEngine(context(`unix://${path}`, "/nowhere")).open(open)).rejects.toMatchObject({
      code: "engine",
      message: expect.stringContaining("no answer within"),
    });
    expect(Date.now() - began).toBeLessThan(tenSeconds);
    server.close();
  });

  test("is where BUILDKIT_HOST says, unless the address is given", async () => {
    const env = { BUILDKIT_HOST: "unix:///from-the-environment.sock" };
    const findings = (options: Readonly<Record<string, string>>) => engineAt(options, env).check({ signal: never });
    expect(await findings({})).toMatchObject([{ message: expect.stringContaining("/from-the-environment.sock") }]);
    expect(await findings({ "buildkit-addr": "unix:///given.sock" })).toMatchObject([
      { message: expect.stringContaining("/given.sock") },
    ]);
  });

  test.each([
    [{ "buildkit-addr": "nothing" }, /"nothing" is not a BuildKit address/],
    [{ "buildkit-addr": "unix:///a", "buildkit-tls-ca": import.meta.filename }, /TLS is for tcp/],
    [{ "buildkit-addr": "tcp://a:1", "buildkit-tls-ca": "/nowhere" }, /--buildkit-tls-ca \/nowhere cannot be read/],
    [{ "buildkit-addr": "tcp://a:1", "buildkit-tls-key": import.meta.filename }, /without --buildkit-tls-cert/],
  ])("%o is refused as usage", async (options, message) => {
    await expect(engineAt(options).open(open)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(message),
    });
  });
});

describe.skipIf(overTcp === undefined)("a daemon over TCP", () => {
  const tls = (changes: object = {}) => ({
    "buildkit-addr": overTcp,
    "buildkit-tls-ca": certificate.ca,
    "buildkit-tls-cert": certificate.cert,
    "buildkit-tls-key": certificate.key,
    ...changes,
  });

  test("works with certificates on both sides", async () => {
    expect(await engineAt(tls()).check({ signal: never })).toEqual([]);
  });

  test("with the certificate of another authority is not trusted, and says so", async () => {
    const [finding] = await engineAt(tls({ "buildkit-tls-ca": certificate.cert })).check({ signal: never });
    expect(finding).toMatchObject({
      severity: "error",
      message: expect.stringContaining(overTcp as string),
      hint: expect.stringContaining("authority"),
    });
  });
});

describe.skipIf(buildkitd === undefined || tar === undefined)("a connection that is cut while a step runs", () => {
  test("is an engine error within ten seconds, and the step does not go on", { timeout: 60_000 }, async () => {
    await using way = await startRelay(buildkitd as string);
    await using build = await openBuild(way.address, busyboxEnvironment(tar as string));
    const word = randomUUID();
    let cut = 0;
    const error = await build
      .run(
        build.start,
        `echo started; sleep 600; : ${word}`,
        {},
        {
          onOutput: () => {
            cut ||= Date.now();
            way.cut();
          },
        },
      )
      .catch((caught: unknown) => caught);
    expect(Date.now() - cut).toBeLessThan(tenSeconds);
    expect(error).toMatchObject({ code: "engine", message: expect.stringContaining(way.address) });
    while (isRunning(word)) await new Promise((resolve) => setTimeout(resolve, 50));
  });
});
