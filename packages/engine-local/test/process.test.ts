import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { EnterOptions } from "@melange2/core";
import { processesWith } from "@melange2-tooling/machine";
import { beforeEach, describe, expect, it } from "vitest";
import { busyboxEnvironment } from "./busybox-environment.ts";
import { file } from "./debug-spec.ts";
import { never, openBuild, scratch, whyNot } from "./local-build.ts";

const missing = await whyNot();

beforeEach(({ skip }) => skip(missing !== undefined, missing));
const driver = fileURLToPath(new URL("driver.ts", import.meta.url));
const driverWords = (...words: readonly string[]) => [
  process.execPath,
  "--disable-warning=ExperimentalWarning",
  "--conditions=melange2-source",
  driver,
  ...words,
];

function startDriver(...words: readonly string[]): ChildProcess & { readonly printed: () => string } {
  const [program = "", ...rest] = driverWords(...words);
  const child = spawn(program, rest, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  return Object.assign(child, { printed: () => text });
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + 15_000; !condition(); await wait(10))
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
}

describe("a build that is killed", () => {
  const scripts: readonly (readonly [string, string])[] = [
    ["in a quiet step", "echo started; exec sleep 9999"],
    ["in a step with children and daemons", "setsid sleep 9999 & sleep 9999 & echo started; wait"],
    ["in a step that ignores signals", "trap '' TERM INT HUP; echo started; while :; do sleep 1; done"],
  ];

  it.each(scripts)("%s leaves no process, no mount, nothing temporary, and the next build works", async (_, script) => {
    const stateDirectory = join(scratch(), "state");
    const child = startDriver("run", stateDirectory, script);
    await until(() => child.printed().includes("started"), "the step to start");
    child.kill("SIGKILL");
    await once(child, "close");
    await until(() => processesWith(stateDirectory).length === 0, "the sandbox's processes to go");
    await until(() => processesWith("9999").length === 0, "the step's processes to go");
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(stateDirectory);

    await using build = await openBuild({ stateDirectory });
    const own = join(stateDirectory, readdirSync(stateDirectory)[0] as string);
    expect(readdirSync(join(own, "tmp"))).toHaveLength(1);
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    expect((await build.run(base, ["true"])).result.ok).toBe(true);
  });

  it("does not disturb one that lives on the same state directory", async () => {
    const stateDirectory = join(scratch(), "state");
    await using build = await openBuild({ stateDirectory });
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const child = startDriver("run", stateDirectory, "echo started; exec sleep 9998");
    await until(() => child.printed().includes("started"), "the step to start");
    child.kill("SIGKILL");
    await once(child, "close");
    const after = await build.after(base, "echo alive > /alive");
    await using other = await openBuild({ stateDirectory });
    expect((await build.tree(after)).has("alive")).toBe(true);
    expect(
      (await other.run(await other.session.load(busyboxEnvironment(), { signal: never }), ["true"])).result.ok,
    ).toBe(true);
  });
});

describe("descriptors that Node inherited", () => {
  it("lead no step to the host", async () => {
    const stateDirectory = join(scratch(), "state");
    writeFileSync(join(stateDirectory, "..", "host-file"), "");
    const script = "for fd in 3 4 5 7 9; do ls /proc/self/fd/$fd/ /proc/self/fd/$fd/../ 2>/dev/null; done; echo done";
    const printed = execFileSync(
      "/bin/sh",
      [
        "-c",
        'cd "$1"; shift; exec 3<. 7</ 9<.; exec "$@"',
        "sh",
        join(stateDirectory, ".."),
        ...driverWords("run", stateDirectory, script),
      ],
      { encoding: "utf8" },
    );
    expect(printed).toBe("done\ntrue\n");
  });
});

describe("entering a state", () => {
  const options: EnterOptions = {
    signal: never,
    argv: ["/bin/sh", "-c", "exit 0"],
    env: { PATH: "/bin" },
    workdir: "/home/build",
    user: { uid: 0, gid: 0 },
    mounts: [],
    files: [],
    secretEnv: [],
    tty: { interactive: false },
  };

  it("runs a command in its workdir with its files and mounts, on a copy", async () => {
    await using build = await openBuild();
    const source = scratch();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const failed = await build.afterFailure(base, "echo partial > /partial; exit 1");
    const script = `pwd > /out/pwd; cat /partial > /out/partial; cat /.melange2/record > /out/record
      echo scratch > /scratch; rm /partial; exit 7`;
    const exit = await build.session.enter?.(failed, {
      ...options,
      argv: ["/bin/sh", "-c", script],
      files: [{ ...file(".melange2", ""), kind: "directory", mode: 0o755 }, file(".melange2/record", "it says")],
      mounts: [{ source, target: "/out" }],
    });
    expect(exit).toEqual({ code: 7, reason: "exit" });
    const told = ["pwd", "partial", "record"].map((name) => readFileSync(join(source, name), "utf8"));
    expect(told).toEqual(["/home/build\n", "partial\n", "it says"]);
    const tree = await build.tree(failed);
    expect([tree.has("partial"), tree.has("scratch"), tree.has(".melange2")]).toEqual([true, false, false]);
  });

  it("gives secrets to the command alone, and only the ones it names", async () => {
    await using build = await openBuild({ secrets: { names: ["A", "B"], get: (name) => `value-of-${name}` } });
    const source = scratch();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const exit = await build.session.enter?.(base, {
      ...options,
      argv: ["/bin/sh", "-c", 'echo "$A,$B" > /out/seen'],
      secretEnv: ["A"],
      mounts: [{ source, target: "/out" }],
    });
    expect(exit?.code).toBe(0);
    expect(readFileSync(join(source, "seen"), "utf8")).toBe("value-of-A,\n");
  });

  it("ends with the signal", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const source = scratch();
    const abort = new AbortController();
    const entered = build.session.enter?.(base, {
      ...options,
      argv: ["/bin/sh", "-c", "echo > /out/there; sleep 9999"],
      mounts: [{ source, target: "/out" }],
      signal: abort.signal,
    });
    await until(() => existsSync(join(source, "there")), "the command to start");
    abort.abort();
    expect(await entered).toEqual({ code: 130, reason: "interrupted" });
  });

  const hasPty = spawnSync("script", ["--version"]).status === 0;
  it("is a shell with a terminal: prompt, job control, Ctrl-C, exit code", async ({ skip }) => {
    skip(!hasPty, "script (util-linux) is not installed");
    const stateDirectory = join(scratch(), "state");
    const command = driverWords("enter", stateDirectory, "echo partial > /home/build/partial; exit 1")
      .map((word) => `'${word}'`)
      .join(" ");
    const child = spawn("script", ["-qefc", command, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
    let seen = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      seen += text;
    });
    const type = async (text: string, expected: string) => {
      const from = seen.length;
      child.stdin.write(text);
      await until(
        () => seen.slice(from).includes(expected),
        `${JSON.stringify(expected)} after ${JSON.stringify(seen.slice(from))}`,
      );
    };
    await until(() => seen.includes("inside# "), "a prompt");
    expect(seen).not.toContain("job control turned off");
    await type("cat partial; tty; test -c /dev/console && echo con''sole\n", "console\r\n");
    expect(seen).toMatch(/partial\r\n/);
    child.stdin.write("sleep 9997\n");
    await until(() => processesWith("sleep\x009997").length > 0, "the command to run");
    await type("\x03", "inside# ");
    await type("echo scratch > scratch; sleep 9996 & jobs\n", "Running");
    child.stdin.write("exit 5\n");
    await once(child, "close");
    expect(seen).toContain("exit 5 exit");
    expect(seen).toContain("left false");
    expect(processesWith("9996")).toEqual([]);
  });
});
