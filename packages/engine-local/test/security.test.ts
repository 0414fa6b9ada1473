import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { capabilityNames } from "@melange2/core";
import { beforeEach, describe, expect, it } from "vitest";
import { busyboxEnvironment } from "./busybox-environment.ts";
import { type LocalBuild, never, openBuild, type Steps, scratch, whyNot } from "./local-build.ts";

// The sentences of SECURITY.md about the embedded engine, one test or more behind each. rootless.test.ts runs all of them as ordinary users too.

const missing = await whyNot();

beforeEach(({ skip }) => skip(missing !== undefined, missing));
const isRoot = process.getuid?.() === 0;
const idsAreMapped = isRoot || process.env.MELANGE2_TEST_MAPPING === "range";
const capsh = spawnSync("sh", ["-c", "command -v capsh"]).status === 0;

async function ran(build: LocalBuild, steps: Steps): Promise<{ stdout: readonly string[]; stderr: readonly string[] }> {
  const { result, stdout, stderr } = await build.run(await loaded(build), steps);
  expect(result, stderr.join("")).toMatchObject({ ok: true });
  return { stdout, stderr };
}

const loaded = (build: LocalBuild) => build.session.load(busyboxEnvironment(), { signal: never });

/** Processes of this machine that have the text in their environment, each with whether its root is the host's. */
function holders(text: string): readonly { readonly pid: string; readonly atHome: boolean }[] {
  const root = statSync("/");
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/environ`, "latin1").includes(text)) return [];
        const own = statSync(`/proc/${pid}/root/.`);
        return [{ pid, atHome: own.dev === root.dev && own.ino === root.ino }];
      } catch {
        return []; // It is gone, or not ours to look into.
      }
    });
}

describe("no variable, argument or secret of a recipe acts on a program of the host", () => {
  it("each is in the environment of processes inside only", async () => {
    const mark = "melange2-mark-5d1c";
    const env = { PATH: "/bin", LC_ALL: mark, LD_PRELOAD: `/${mark}.so`, GCONV_PATH: `/${mark}`, LOCPATH: `/${mark}` };
    const cache = scratch();
    const secrets = { names: ["LANGUAGE"], get: () => `${mark}-secret` };
    await using build = await openBuild({ secrets });
    const mounts = [{ kind: "cache", source: cache, target: "/c" }] as const;
    const script = 'touch /c/started; until [ -e /c/seen ]; do sleep 0.05; done; echo "$LANGUAGE"';
    const running = ran(build, [[script, { env, mounts, secretEnv: ["LANGUAGE"] }]]);
    while (!existsSync(join(cache, "started"))) await new Promise((resolve) => setTimeout(resolve, 20));
    const found = holders(mark);
    const commands = execFileSync("sh", ["-c", "cat /proc/[0-9]*/cmdline 2>/dev/null || :"], { encoding: "latin1" });
    writeFileSync(join(cache, "seen"), "");
    const { stdout } = await running;
    expect(stdout).toEqual([`${mark}-secret\n`]);
    expect(found.length).toBeGreaterThan(0);
    expect(found.filter(({ atHome }) => atHome)).toEqual([]);
    expect(commands).not.toContain(`${mark}-secret`);
  });

  it("and inside each arrives as it is, whatever a shell would make of it", async () => {
    const env = {
      IFS: "x",
      ENV: "/nowhere",
      PS4: "$(id)",
      OPTIND: "no number",
      UID: "5",
      PPID: "7",
      PWD: "/nowhere",
      SHLVL: "many",
      _: "under",
      LC_ALL: "bogus",
      "with.dot": "1",
      "-dash": "2",
      LIBMOUNT_FORCE_MOUNT2: "mine",
      TEXT: "a 'b' \"c\" $d `e`\n\\f\n\n",
    };
    await using build = await openBuild({ secrets: { names: ["KEY"], get: () => "two\nlines\n\n" } });
    // No script, since its shell would change what it calls its own.
    const command = ["/bin/cat", "/proc/self/environ"];
    const { stdout } = await ran(build, [["", { command, env, secretEnv: ["KEY"] }]]);
    const seen = (stdout[0] ?? "").split("\0").filter((pair) => pair !== "");
    const pairs = Object.fromEntries(
      seen.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
    );
    expect(pairs).toEqual({ ...env, KEY: "two\nlines\n\n" });
  });

  it("a script beyond what an argument may be runs all the same", async () => {
    await using build = await openBuild();
    const script = `${": 0123456789012345678901234567890123456789\n".repeat(8000)}echo "$0 $#"; exit 0`;
    const { stdout } = await ran(build, [script]);
    expect(stdout).toEqual(["/dev/.melange2-script-0 0\n"]);
  });
});

describe("the steps of one unit", () => {
  it("cannot look into one that is still entering: each is in a user namespace of its own", async () => {
    await using build = await openBuild();
    const look = "readlink /proc/self/ns/user; sleep 60 & echo $!";
    const { stdout } = await ran(build, [
      look,
      `${look}; for p in /proc/[0-9]*; do cat $p/environ >/dev/null 2>&1 || echo denied; done`,
    ]);
    const [first, second] = stdout.map((text) => text.split("\n"));
    expect(first?.[0]).toMatch(/^user:/);
    expect(second?.[0]).not.toBe(first?.[0]);
    expect(second).toContain("denied");
    expect([first?.[0], second?.[0]]).not.toContain(readlinkSync("/proc/self/ns/user"));
  });
});

describe("the host's devices", () => {
  const names = ["null", "zero", "full", "random", "urandom", "tty"];
  const state = () =>
    names.map((name) => lstatSync(join("/dev", name))).map(({ mode, uid, gid, rdev }) => [mode, uid, gid, rdev]);

  it("keep mode and owner under chmod -R, chown -R and rm -rf of a step", async () => {
    const before = state();
    await using build = await openBuild();
    const steps = [
      "chmod -R 000 /dev; chown -R 1234:1234 /dev / ; rm -rf /dev/* /dev; :",
      "echo x > /dev/null; head -c 3 /dev/zero | wc -c",
    ];
    for (const script of steps) {
      const { result, stdout } = await build.run(await loaded(build), [script]);
      expect(result).toMatchObject({ ok: true });
      if (script === steps[1]) expect(stdout).toEqual(["3\n"]);
    }
    expect(state()).toEqual(before);
  });

  it("are not what a step of root's sees: it has nodes of its own, and may change them", async (context) => {
    if (!isRoot) context.skip("only the host's root makes device nodes");
    await using build = await openBuild();
    const { stdout } = await ran(build, [
      "chmod 600 /dev/full && stat -c '%a %t %T' /dev/full; mknod x b 8 0; cat x 2>&1 || echo unusable",
    ]);
    expect(stdout[0]).toMatch(/^600 1 7\n[\s\S]*unusable\n$/);
    expect(lstatSync("/dev/full").mode & 0o777).toBe(0o666);
  });
});

describe("what a step shares with the host", () => {
  it("is no process, mount, host name, System V or control group namespace", async () => {
    await using build = await openBuild();
    const kinds = ["mnt", "pid", "ipc", "uts", "cgroup"];
    const { stdout } = await ran(build, [`for kind in ${kinds.join(" ")}; do readlink /proc/self/ns/$kind; done`]);
    const own = kinds.map((kind) => readlinkSync(`/proc/self/ns/${kind}`));
    for (const line of (stdout[0] ?? "").trim().split("\n")) expect(own).not.toContain(line);
  });

  it("is no keyring and no user namespace, where the step is not root or makes no device nodes", async (context) => {
    if (!isRoot) context.skip("an ordinary user's sandbox is a user namespace");
    await using build = await openBuild();
    const cases: Steps = [
      ["readlink /proc/self/ns/user", { user: { uid: 1000, gid: 1000 } }],
      ["readlink /proc/self/ns/user", { capabilities: { add: [], drop: ["CAP_MKNOD"] } }],
    ];
    for (const one of cases)
      expect((await ran(build, [one])).stdout[0]).not.toBe(`${readlinkSync("/proc/self/ns/user")}\n`);
  });

  it("is no abstract socket, where steps have no network", async () => {
    const name = `melange2-${process.pid}`;
    const server = createServer().listen({ path: `\0${name}` });
    await new Promise((listening) => server.once("listening", listening));
    for (const network of [true, false]) {
      await using build = await openBuild({ network });
      const { stdout } = await ran(build, ["cat /proc/net/unix"]);
      expect(stdout[0]?.includes(name)).toBe(network);
    }
    server.close();
  });

  it("is no memory or environment: the host's user of the step's number cannot read it", async (context) => {
    if (!isRoot) context.skip("in an ordinary user's sandbox every process is that user's already");
    const cache = scratch();
    await using build = await openBuild({ secrets: { names: ["KEY"], get: () => "melange2-key-77" } });
    const mounts = [{ kind: "cache", source: cache, target: "/c" }] as const;
    const user = { uid: 1000, gid: 1000 };
    execFileSync("chmod", ["1777", cache]);
    const script = "touch /c/started; until [ -e /c/seen ]; do sleep 0.05; done";
    const running = ran(build, [[script, { user, mounts, secretEnv: ["KEY"] }]]);
    while (!existsSync(join(cache, "started"))) await new Promise((resolve) => setTimeout(resolve, 20));
    const pids = holders("melange2-key-77").map(({ pid }) => pid);
    const look = 'for pid; do cat "/proc/$pid/environ" "/proc/$pid/maps" 2>/dev/null && echo READ; done';
    const { stdout } = spawnSync("setpriv", [
      "--reuid",
      "1000",
      "--regid",
      "1000",
      "--clear-groups",
      "sh",
      "-c",
      look,
      "sh",
      ...pids,
    ]);
    writeFileSync(join(cache, "seen"), "");
    await running;
    expect(pids.length).toBeGreaterThan(0);
    expect(stdout.toString()).toBe("");
  });
});

describe("capabilities", () => {
  const usual = [
    "CAP_CHOWN",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_SYS_CHROOT",
    "CAP_MKNOD",
    "CAP_SETFCAP",
    "CAP_NET_RAW",
  ];
  const bounding = async (capabilities: { add: string[]; drop: string[] }): Promise<bigint> => {
    await using build = await openBuild();
    const { stdout } = await ran(build, [["grep CapBnd /proc/self/status | cut -f2", { capabilities }]]);
    return BigInt(`0x${stdout[0]?.trim()}`);
  };
  const bit = (name: string) => 1n << BigInt(capabilityNames.indexOf(name));

  it.each([...usual, "ALL"])("a step can do without %s", async (name) => {
    if (!capsh && /CHROOT|SETUID|SETGID|ALL/.test(name)) return;
    const left = await bounding({ add: [], drop: [name] });
    if (name === "ALL") expect(left).toBe(0n);
    else {
      expect(left & bit(name)).toBe(0n);
      expect(left & bit(name === "CAP_CHOWN" ? "CAP_KILL" : "CAP_CHOWN")).not.toBe(0n);
    }
  });

  it.each(["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_NET_ADMIN"])(
    "a step gets %s in a namespace of its own",
    async (name) => {
      expect((await bounding({ add: [name], drop: [] })) & bit(name)).not.toBe(0n);
      await using build = await openBuild();
      const script = "umount -l / 2>/dev/null; umount -l /proc 2>/dev/null; ls /proc/1/root/ 2>/dev/null; :";
      const { stdout } = await ran(build, [[script, { capabilities: { add: [name], drop: [] } }]]);
      expect(stdout).toEqual([""]);
    },
  );

  it("root keeps chown and setcap, and as the host's root mknod", async (context) => {
    if (!idsAreMapped) context.skip("one uid is mapped");
    await using build = await openBuild();
    const script = `touch f && chown 7:7 f && stat -c %u f${isRoot ? " && mknod n c 1 3" : ""}`;
    expect((await ran(build, [script])).stdout).toEqual(["7\n"]);
  });
});
