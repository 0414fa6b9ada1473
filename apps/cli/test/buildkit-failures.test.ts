import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { pidsOf, processesWith } from "@melange2-tooling/machine";
import {
  fullRun,
  program,
  provided,
  root,
  type Skippable,
  startBuildkit,
  startRelay,
} from "@melange2-tooling/services";
import { describe, expect, it, vi } from "vitest";
import { daemons } from "./daemons.ts";
import { configOf } from "./judges.ts";
import { type Ended, type Place, place } from "./melange2.ts";
import { until } from "./observe.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 180_000 });

/** Silence is told of within twelve seconds; a process that was stopped is given two more to leave. */
const longestSilence = 14_000;

/** Ours. Says that it runs, and goes on, with the place's name in its words. */
const slow = (here: Place) => `
package:
  name: slow
  version: 1.0
  epoch: 0
  description: Has a step that takes its time
pipeline:
  - runs: echo one > one
  - name: takes its time
    runs: |
      echo it runs
      sh -c 'sleep 86400; :' ${basename(here.directory)}
`;

/** Ours. */
const red = (runs: string) => `
package:
  name: red
  version: 1.0
  epoch: 0
  description: Fails
pipeline:
  - runs: |
      ${runs}
`;

type Flags = readonly string[];
const at = (address: string): Flags => ["--engine=buildkit", `--buildkit-addr=${address}`];

async function build(here: Place, recipe: string, flags: Flags): Promise<readonly string[]> {
  await writeFile(join(here.directory, "r.yaml"), recipe);
  return ["build", "r.yaml", "--no-network", "--base", (await busyboxRoot()).tar, ...flags];
}

/** Starts a build whose step goes on, and does something when it runs; how long it then took to end. */
async function broken(here: Place, flags: Flags, fault: (build: ChildProcess) => void, env?: NodeJS.ProcessEnv) {
  const child = here.start(await build(here, slow(here), flags), env);
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const closed = once(child, "close");
  await until(
    () => stderr.includes("it runs"),
    () => `the step in ${stderr}`,
  );
  const began = Date.now();
  fault(child);
  const [code] = (await closed) as [number | null];
  return { code, stderr, milliseconds: Date.now() - began };
}

/** Runs it, and how long that took. */
async function timed(here: Place, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const began = Date.now();
  const ended = await here.run(args, { env });
  return { ...ended, milliseconds: Date.now() - began };
}

/** The daemon's fault, told in time and in words that help: where, what, and what to do. */
function expectEngineError(
  { code, stderr, milliseconds }: Pick<Ended, "code" | "stderr"> & { readonly milliseconds: number },
  address: string,
  says: RegExp,
): void {
  expect(code, stderr).toBe(3);
  expect(milliseconds).toBeLessThan(longestSilence);
  const told = stderr.slice(stderr.indexOf("melange2: error: "));
  expect(told).toContain(address);
  expect(told).toMatch(says);
  expect(told).toMatch(/\n {2}hint: .{10}/);
  expect(stderr).not.toMatch(/^ {4}at /m);
}

async function leftNothing(here: Place): Promise<void> {
  await until(
    () => processesWith(basename(here.directory)).length === 0,
    () => `the end of ${processesWith(basename(here.directory))}`,
  );
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // It ended with another one.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** A buildkitd of this test's own. */
async function ownDaemon(test: Skippable, options: { megabytes?: number } = {}) {
  root(test);
  provided(test, "MELANGE2_TEST_BUILDKIT");
  const folder = await mkdtemp(join(tmpdir(), "buildkitd-"));
  const { env, stop } = await startBuildkit(folder, options);
  return {
    address: env.MELANGE2_TEST_BUILDKIT ?? "",
    kill() {
      for (const pid of pidsOf(join(folder, "root"))) end(pid);
    },
    async [Symbol.asyncDispose]() {
      await stop?.();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

describe("while a step runs", () => {
  it("the daemon is killed", async (test) => {
    await using daemon = await ownDaemon(test);
    await using here = await place();
    const ended = await broken(here, at(daemon.address), () => daemon.kill());
    expectEngineError(ended, daemon.address, /the connection to .* was lost/);
    await leftNothing(here);
  });

  it.for(["cut", "freeze"] as const)("the connection suffers a %s", async (fault, test) => {
    await using way = await startRelay(provided(test, "MELANGE2_TEST_BUILDKIT"));
    await using here = await place();
    const ended = await broken(here, at(way.address), () => way[fault]());
    expectEngineError(ended, way.address, /the connection to .* was lost/);
    // A daemon does not hear of the end of a connection that is frozen; whatever stands between closes it at some time.
    way.cut();
    await leftNothing(here);
  });

  it.for(daemons.slice(1))("the connection to $name is cut, or Ctrl-C ends it", async ({ scheme, variable }, test) => {
    fullRun(test);
    await using way = await startRelay(provided(test, variable));
    const address = way.address.replace("unix://", scheme);
    await using here = await place();
    const cut = await broken(here, at(address), () => way.cut());
    expectEngineError(cut, address, /the connection to .* was lost/);
    await leftNothing(here);
    const interrupted = await broken(here, at(address), (build) => void build.kill("SIGINT"));
    expect(interrupted.code, interrupted.stderr).toBe(130);
    await leftNothing(here);
    expect((await here.run(["debug", "cat", "one"])).stdout.toString()).toBe("one\n");
  });

  it("Ctrl-C ends it with 130, keeps its state, and leaves nothing running", async (test) => {
    const address = provided(test, "MELANGE2_TEST_BUILDKIT");
    await using here = await place();
    const flags = at(address);
    const { code, stderr } = await broken(here, flags, (build) => void build.kill("SIGINT"));
    expect(code, stderr).toBe(130);
    await leftNothing(here);
    expect((await here.run(["debug", "show"])).stdout.toString()).toContain("interrupted");
    expect((await here.run(["debug", "cat", "one"])).stdout.toString()).toBe("one\n");
  });
});

describe("a daemon with a full disk", () => {
  it("cannot take the base", async (test) => {
    await using daemon = await ownDaemon(test, { megabytes: 24 });
    await using here = await place();
    await here.shell("mkdir -p base/bin && dd if=/dev/urandom of=base/large bs=1M count=48 2>/dev/null");
    await writeFile(join(here.directory, "r.yaml"), red("exit 1"));
    const ended = await timed(here, ["build", "r.yaml", "--no-network", "--base=base", ...at(daemon.address)]);
    expectEngineError(ended, daemon.address, /the disk of the daemon at .* is full[\s\S]*hint: Free space there/);
  });

  it("cannot keep what a step that went well left", async (test) => {
    await using daemon = await ownDaemon(test, { megabytes: 48 });
    await using here = await place();
    const filling = red("cat /dev/zero >large 2>/dev/null || true");
    const ended = await timed(here, await build(here, filling, at(daemon.address)));
    expectEngineError(ended, daemon.address, /could not keep what a step left: its disk is full/);
  });

  it("is told where it is full of what a step left, and there is no room to export that", async (test) => {
    await using daemon = await ownDaemon(test, { megabytes: 48 });
    await using here = await place();
    const filling = red("dd if=/dev/zero of=large bs=1M");
    const ended = await here.run(
      await build(here, filling, [...at(daemon.address), "--export-on-failure", "--export-path=debug.tar"]),
    );
    expect(ended.code, ended.stderr).toBe(1);
    expect(ended.stderr).toContain("large': No space left on device");
    expect(ended.stderr).toMatch(
      /the export \(tarball\) failed: .*no space left on device\n {4}hint: Free space there/,
    );
    expect(ended.stderr).toContain(`the disk of the daemon at ${daemon.address} is full`);
    expect(existsSync(join(here.directory, "debug.tar"))).toBe(false);
  });
});

/** Hears nothing, not even of the end of its input. */
const silent = `#!${process.execPath}
setInterval(() => {}, 60_000);
`;

describe("no daemon that can be used", () => {
  it.for([
    ["a socket that is not there", "unix:///nowhere/buildkitd.sock", /ENOENT/],
    ["a port that nobody listens on", "tcp://127.0.0.1:1", /ECONNREFUSED/],
    ["a Docker socket that is not there", "docker:///nowhere/docker.sock", /ENOENT/],
    ["a program that is not there", "docker-container://nobody", /tried the command docker exec .*not found/],
  ] as const)("%s", async ([, address, says]) => {
    await using here = await place();
    const ended = await timed(here, await build(here, slow(here), at(address)), { PATH: "/nowhere" });
    expectEngineError(ended, address, says);
    expect(ended.stderr).toContain(": tried ");
  });

  it("one that takes connections and is silent", async () => {
    await using here = await place();
    const server = createServer(() => {}).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const ended = await timed(here, await build(here, slow(here), at(`tcp://127.0.0.1:${port}`)));
    expectEngineError(ended, `tcp://127.0.0.1:${port}`, /tried .*: no answer within/);
    server.close();
  });

  it("a program that starts and is silent", async () => {
    await using here = await place();
    const bin = join(here.directory, "bin");
    await mkdir(bin);
    await writeFile(join(bin, "docker"), silent, { mode: 0o755 });
    const address = `docker-container://${basename(here.directory)}`;
    const env = { PATH: `${bin}:${process.env.PATH}` };
    const ended = await timed(here, await build(here, slow(here), at(address)), env);
    expectEngineError(ended, address, /tried the command docker exec .*: no answer within/);
    expect(processesWith(basename(here.directory))).toEqual([]);
  });
});

describe("over TCP with certificates on both sides", () => {
  const tls = (test: Skippable) => ({
    address: provided(test, "MELANGE2_TEST_BUILDKIT_TCP"),
    ca: `--buildkit-tls-ca=${provided(test, "MELANGE2_TEST_BUILDKIT_TLS_CA")}`,
    cert: `--buildkit-tls-cert=${provided(test, "MELANGE2_TEST_BUILDKIT_TLS_CERT")}`,
    key: `--buildkit-tls-key=${provided(test, "MELANGE2_TEST_BUILDKIT_TLS_KEY")}`,
  });

  it("a failed build is exported, then and later", async (test) => {
    program(test, "skopeo");
    const { address, ca, cert, key } = tls(test);
    await using here = await place();
    const flags = [...at(address), ca, cert, key, "--export-on-failure", "--export-path=now.tar"];
    const failed = await here.run(await build(here, red("echo half > partial; exit 7"), flags));
    expect(failed.code, failed.stderr).toBe(1);
    for (const args of [["ls"], ["show"], ["cat", "partial"], ["export", "--export-path=later.tar"]]) {
      const { code, stderr } = await here.run(["debug", ...args]);
      expect(code, stderr).toBe(0);
    }
    const [now, later] = await Promise.all(
      ["now.tar", "later.tar"].map((name) => configOf(join(here.directory, name))),
    );
    expect(later).toEqual(now);
  });

  it("the certificate of another authority, or none of ours, is told as that", async (test) => {
    const { address, ca, cert, key } = tls(test);
    await using here = await place();
    const wrong = cert.replace("-cert=", "-ca=");
    const stranger = await timed(here, await build(here, slow(here), [...at(address), wrong, cert, key]));
    expectEngineError(stranger, address, /with TLS and a client certificate: unable to verify[\s\S]*hint: .*authority/);
    const nobody = await timed(here, await build(here, slow(here), [...at(address), ca]));
    expectEngineError(nobody, address, /with TLS: .*certificate required/);
  });
});

/** Stands for docker exec and kubectl exec: notes how it was called, and joins its streams to the daemon's socket. */
const standIn = (socket: string, calls: string) => `#!${process.execPath}
const { appendFileSync } = require("node:fs");
appendFileSync(${JSON.stringify(calls)}, process.argv.slice(2).join(" ") + "\\n");
const socket = require("node:net").connect(${JSON.stringify(socket)});
process.stdin.pipe(socket).pipe(process.stdout);
socket.on("error", () => process.exit(1)).on("close", () => process.exit(0));
`;

async function withStandIn(test: Skippable, here: Place) {
  const socket = provided(test, "MELANGE2_TEST_BUILDKIT").replace("unix://", "");
  const bin = join(here.directory, "bin");
  const calls = join(here.directory, "calls");
  await mkdir(bin);
  for (const name of ["docker", "kubectl"]) await writeFile(join(bin, name), standIn(socket, calls), { mode: 0o755 });
  return {
    env: { PATH: `${bin}:${process.env.PATH}` },
    calls: () => (existsSync(calls) ? readFileSync(calls, "utf8") : ""),
  };
}

describe("behind a child process", () => {
  it.for([
    ["docker-container://NAME", "exec -i NAME buildctl dial-stdio"],
    ["kube-pod://NAME?namespace=ci", "--namespace=ci exec -i NAME -- buildctl dial-stdio"],
  ] as const)("%s: a failed build is exported, then and later", async ([form, call], test) => {
    program(test, "skopeo");
    await using here = await place();
    const { env, calls } = await withStandIn(test, here);
    const name = basename(here.directory);
    const flags = [...at(form.replace("NAME", name)), "--export-on-failure", "--export-path=now.tar"];
    const failed = await here.run(await build(here, red("echo half > partial; exit 7"), flags), { env });
    expect(failed.code, failed.stderr).toBe(1);
    expect(calls()).toContain(`${call.replace("NAME", name)}\n`);
    const later = await here.run(["debug", "export", "--export-path=later.tar"], { env });
    expect(later.code, later.stderr).toBe(0);
    const shell = await here.run(["debug", "shell", "--", "cat", "partial"], { env });
    expect(shell.stdout.toString(), shell.stderr).toBe("half\n");
    await configOf(join(here.directory, "later.tar"));
    await leftNothing(here);
  });

  it.for([
    ["killed", "SIGKILL", /the connection to .* was lost: .*SIGKILL/],
    ["stopped", "SIGSTOP", /the connection to .* was lost: it no longer answers/],
  ] as const)("that is %s while a step runs", async ([, signal, says], test) => {
    await using here = await place();
    const { env } = await withStandIn(test, here);
    const address = `docker-container://${basename(here.directory)}`;
    const call = `exec -i ${basename(here.directory)}`.replaceAll(" ", "\0");
    const fault = () => pidsOf(call).forEach((pid) => void process.kill(pid, signal));
    const ended = await broken(here, at(address), fault, env);
    expectEngineError(ended, address, says);
    expect(pidsOf(call)).toEqual([]);
    await leftNothing(here);
  });
});
