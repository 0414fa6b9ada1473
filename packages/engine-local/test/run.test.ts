import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Layer } from "@melange2/core";
import { layerFromEntries, layerFromFile, tarHeader, writeFileAtomically } from "@melange2/oci";
import { beforeEach, describe, expect, it } from "vitest";
import { busyboxEnvironment } from "./busybox-environment.ts";
import { never, openBuild, scratch, stateOf, whyNot } from "./local-build.ts";

const missing = await whyNot();

beforeEach(({ skip }) => skip(missing !== undefined, missing));
const idsAreMapped = process.getuid?.() === 0 || process.env.MELANGE2_TEST_MAPPING === "range";

describe("steps in the sandbox", () => {
  it("see what steps before left, and leave what they did", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const one = await build.after(base, "echo hello > /home/build/note; rm /var/old/a");
    const { stdout } = await build.run(one, ["cat /home/build/note; ls /var/old"]);
    expect(stdout).toEqual(["hello\nb\n"]);
    const tree = await build.tree(base);
    expect(tree.has("home/build/note")).toBe(false);
    expect(tree.has("var/old/a")).toBe(true);
  });

  it("get their environment and nothing of the host's", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const env = { PATH: "/bin", ODD: "a 'b' \"c\" $d\n\\e é", EMPTY: "" };
    const { stdout } = await build.run(base, [
      ["cat /proc/self/environ", { env: { ...env, LD_PRELOAD: "/no/such.so" } }],
    ]);
    const seen = Object.fromEntries(
      Buffer.from(stdout[0] ?? "", "latin1")
        .toString()
        .split("\0")
        .filter(Boolean)
        .map((variable) => [variable.slice(0, variable.indexOf("=")), variable.slice(variable.indexOf("=") + 1)]),
    );
    // busybox's shell adds these two itself.
    const { PWD: _pwd, SHLVL: _level, ...rest } = seen;
    expect(rest).toEqual({ ...env, LD_PRELOAD: "/no/such.so" });
  });

  it("write to both streams, also by name", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const { stdout, stderr } = await build.run(base, [
      "echo out; echo err >&2; echo named > /dev/stderr; echo named > /dev/stdout",
      ["echo as build > /dev/stderr", { user: { uid: 1000, gid: 1000 } }],
    ]);
    expect(stdout).toEqual(["out\nnamed\n", ""]);
    expect(stderr).toEqual(["err\nnamed\n", "as build\n"]);
  });

  it("lose no output, however much and whatever bytes", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    let bytes = 0;
    await build.run(base, ["dd if=/dev/zero bs=1M count=40 2>/dev/null"], {
      onOutput: ({ data }) => {
        bytes += data.length;
      },
    });
    expect(bytes).toBe(40 << 20);
  });

  it("run as the user they name, without other groups", async ({ skip }) => {
    skip(!idsAreMapped, "one uid is mapped");
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const { stdout } = await build.run(base, [
      ["id -u; id -G; touch /home/build/mine; stat -c %u:%g /home/build/mine", { user: { uid: 1000, gid: 1000 } }],
    ]);
    expect(stdout[0]).toBe("1000\n1000\n1000:1000\n");
  });

  it("find devices, shared memory, a terminal multiplexer and read-only kernel views", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const { stdout, stderr, result } = await build.run(base, [
      `set -e
      echo x > /dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c
      echo y > /dev/shm/f; cat /dev/fd/0 < /dev/shm/f; test -c /dev/ptmx
      if echo 1 > /proc/sys/kernel/panic; then exit 9; fi 2>/dev/null
      if mknod /dev/own c 1 5 && head -c 4 /dev/own; then exit 8; fi 2>/dev/null
      echo z > /dev/note; ls -ld /dev | cut -c1-10`,
    ]);
    expect(stderr).toEqual([""]);
    expect(stdout[0]).toBe("4\n4\ny\ndrwxr-xr-x\n");
    const after = stateOf(result);
    expect((await build.run(after, ["! ls /dev/own /dev/note 2>&1"])).stdout[0]).toContain("/dev/note: No such file");
  });

  it("leave no mount point, device or name server behind", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const failed = await build.afterFailure(base, "cat /etc/resolv.conf /etc/hosts >/dev/null; exit 1");
    const tree = await build.tree(failed);
    for (const path of ["etc/resolv.conf", "etc/hosts", "proc", "sys", "dev"]) expect(tree.has(path), path).toBe(false);
    expect(tree.has("tmp")).toBe(true);
  });

  it("cannot see the host", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const { stdout } = await build.run(base, [
      `ls /; ls ${build.stateDirectory} 2>&1; ls /proc/1/root/ 2>&1; cd /; mkdir -p /tmp/x; ps | grep -c node
       chroot /tmp/x 2>/dev/null; ls ../../../../../..`,
    ]);
    expect(stdout[0]).not.toMatch(/^(usr|root|boot)$/m);
    expect(stdout[0]).toContain("No such file or directory");
  });

  it("run one after another in one process tree, up to the first that fails", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const ran = await build.run(base, [
      'mkfifo /tmp/pipe; (read line < /tmp/pipe; echo "heard $line" > /tmp/heard; echo done > /tmp/pipe) & echo $! > /tmp/pid',
      "kill -0 $(cat /tmp/pid) && echo hello > /tmp/pipe; read answer < /tmp/pipe; cat /tmp/heard",
      "echo partial > /partial; exit 41",
      "echo never > /never",
    ]);
    expect(ran.result).toMatchObject({ ok: false, step: 2, exit: { code: 41, reason: "exit" } });
    expect(ran.stdout).toEqual(["", "heard hello\n", "", ""]);
    expect(ran.events).toEqual(["start 0", "end 0", "start 1", "end 1", "start 2", "end 2"]);
    const tree = await build.tree(stateOf(ran.result));
    expect(tree.has("partial")).toBe(true);
    expect(tree.has("never")).toBe(false);
  });

  it("end with what they left running", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const counter = scratch();
    const mounts = [{ kind: "cache", source: counter, target: "/count" }] as const;
    await build.after(
      base,
      "setsid sh -c 'while :; do echo . >> /count/beats; sleep 0.01; done' >/dev/null 2>&1 & while [ ! -s /count/beats ]; do sleep 0.01; done",
      { mounts },
    );
    const beats = readFileSync(join(counter, "beats"), "utf8").length;
    await build.after(base, "sleep 0.2");
    expect(readFileSync(join(counter, "beats"), "utf8").length).toBe(beats);
  });

  it("are stopped at their time limit, and what they did is kept", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const { result } = await build.run(base, [["echo partial > /partial; sleep 1000", { timeout: 1 }]]);
    expect(result).toMatchObject({ ok: false, step: 0, exit: { code: 124, reason: "timeout" } });
    expect((await build.tree(stateOf(result))).has("partial")).toBe(true);
  });

  it("are stopped by the signal, and what they did is kept", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const abort = new AbortController();
    const { result } = await build.run(base, ["trap '' TERM INT; echo partial > /partial; echo go; sleep 1000"], {
      signal: abort.signal,
      onOutput: () => abort.abort(),
    });
    expect(result).toMatchObject({ ok: false, step: 0, exit: { code: 130, reason: "interrupted" } });
    expect((await build.tree(stateOf(result))).has("partial")).toBe(true);
    await expect(build.run(base, ["true"], { signal: abort.signal })).rejects.toMatchObject({ code: "interrupted" });
  });

  it("tell how they ended", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    expect((await build.run(base, ["kill -SEGV $$"])).result).toMatchObject({ exit: { code: 139, reason: "signal" } });
    expect((await build.run(base, ["exit 255"])).result).toMatchObject({ exit: { code: 255, reason: "exit" } });
    expect((await build.run(base, [["rm /bin/sh; exit 3", {}]])).result).toMatchObject({ exit: { code: 3 } });
  });

  it("have their mounts, which no state holds", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const source = scratch();
    writeFileSync(join(source, "from host"), "hi");
    const mounts = [{ kind: "cache", source, target: "/var/cache/a b" }] as const;
    const failed = await build.run(base, [
      ["cat '/var/cache/a b/from host'; echo back > '/var/cache/a b/back'; exit 1", { mounts }],
    ]);
    expect(failed.stdout).toEqual(["hi"]);
    expect(readFileSync(join(source, "back"), "utf8")).toBe("back\n");
    const tree = await build.tree(stateOf(failed.result));
    expect([...tree.keys()].filter((path) => path.startsWith("var/cache"))).toEqual([]);
  });

  it("have a mount point behind a link inside, wherever the link aims, and nothing is made on the host", async () => {
    await using build = await openBuild();
    const outside = scratch();
    const base = await build.session.load(busyboxEnvironment([{ name: "out", type: "symlink", linkname: outside }]), {
      signal: never,
    });
    const source = scratch();
    const mounts = [{ kind: "cache", source, target: "/out/x/y" }] as const;
    const { stdout } = await build.run(base, [["echo seen > /out/x/y/f; ls -d /out/x/y", { mounts }]]);
    expect(stdout).toEqual(["/out/x/y\n"]);
    expect(readFileSync(join(source, "f"), "utf8")).toBe("seen\n");
    expect(readdirSync(outside)).toEqual([]);
  });

  it("refuse a mount point below what is no folder, and one behind links in a circle", async () => {
    await using build = await openBuild();
    const extra = [
      { name: "file", type: "fifo" },
      { name: "loop", type: "symlink", linkname: "/loop" },
    ] as const;
    const base = await build.session.load(busyboxEnvironment(extra), { signal: never });
    for (const target of ["/file/x", "/loop/x"]) {
      const mounts = [{ kind: "cache", source: scratch(), target }] as const;
      await expect(build.run(base, [["true", { mounts }]])).rejects.toMatchObject({
        code: "engine",
        message: expect.stringContaining(target),
      });
    }
  });

  const odd = ["/tmp", "tmp", "/nowhere", "..", "/", "SELF"];
  it.each(odd)("run where /dev, /proc, /sys and /etc are links to %s, which the kept layer has again", async (aim) => {
    await using build = await openBuild();
    const names = ["dev", "proc", "sys", "etc"];
    const links = names.map((name) => ({
      header: tarHeader({ name, type: "symlink", linkname: aim === "SELF" ? name : aim }),
    }));
    const { layers, ...rest } = busyboxEnvironment();
    const environment = { ...rest, layers: [...layers, layerFromEntries(links)] };
    const base = await build.session.load(environment, { signal: never });
    const script =
      "test -c /dev/null && test -r /proc/self/status && grep -q localhost /etc/hosts && echo all there; exit 7";
    const { result, stdout } = await build.run(base, [script]);
    expect(stdout).toEqual(["all there\n"]);
    const tree = await build.tree(stateOf(result));
    for (const name of names) expect([name, tree.get(name)?.type]).toEqual([name, "symlink"]);
  });

  it("run after a step that took away or replaced what they need, and the state is what that step left", async () => {
    await using build = await openBuild();
    const hosts = { name: "etc/hosts", type: "symlink", linkname: "/nowhere" } as const;
    const base = await build.session.load(busyboxEnvironment([hosts]), { signal: never });
    const at = await build.after(base, "rm -rf /tmp; ln -s /etc /tmp");
    const script = "grep -q localhost /etc/hosts && test -e /etc/resolv.conf && readlink /tmp; exit 7";
    const { result, stdout } = await build.run(at, [script]);
    expect(stdout).toEqual(["/etc\n"]);
    const tree = await build.tree(stateOf(result));
    expect(tree.get("etc/hosts")).toMatchObject({ type: "symlink", linkname: "/nowhere" });
    expect(tree.has("etc/resolv.conf")).toBe(false);
    expect(tree.get("tmp")?.type).toBe("symlink");
  });

  it("have no network where there is to be none", async () => {
    await using build = await openBuild({ network: false });
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const { stdout, stderr } = await build.run(base, [
      "ls /sys/class/net 2>/dev/null; tail -n +3 /proc/net/dev | cut -d: -f1; cat /etc/hosts; ping -c1 -W1 localhost >/dev/null && echo pong",
    ]);
    expect(stderr).toEqual([""]);
    expect(
      stdout[0]
        ?.replaceAll(" ", "")
        .split("\n")
        .filter((name) => /^(eth|en|wl)/.test(name)),
    ).toEqual([]);
    expect(stdout[0]).toContain("lo\n");
    expect(stdout[0]).toContain("127.0.0.1\tlocalhost");
    expect(stdout[0]).toContain("pong");
  });

  it("lack a capability that the recipe drops", async ({ skip }) => {
    skip(!idsAreMapped, "one uid is mapped");
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const script = "touch /tmp/f; chown 1000 /tmp/f";
    expect((await build.run(base, [script])).result.ok).toBe(true);
    const dropped = { capabilities: { add: [], drop: ["CAP_CHOWN"] } };
    expect((await build.run(base, [[script, dropped]])).result.ok).toBe(false);
  });

  it("may mount with CAP_SYS_ADMIN, and still do not reach the host", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const secret = join(scratch(), "host-file");
    writeFileSync(secret, "host");
    const capabilities = { add: ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_CHROOT"], drop: [] };
    const attack = `
      mount -t tmpfs none /tmp && echo mounted
      umount / ; umount -l / ; cat ${secret}
      cat /proc/1/root${secret}
      nsenter -t 1 -m cat ${secret}
      for p in /proc/[0-9]*; do cat $p/root${secret} $p/cwd/../../../../..${secret}; done
      mount -t proc none /tmp; cat /tmp/1/root${secret}
      true`;
    const { stdout, result } = await build.run(base, [
      [attack, { capabilities }],
      "grep Cap /proc/self/status; echo $?",
    ]);
    expect(result.ok).toBe(true);
    expect(stdout[0]).toBe("mounted\n");
    // The next step of the unit is an ordinary one again.
    expect(stdout[1]).not.toMatch(/CapEff:\s*0000[0-9a-f]*[2367abef][0-9a-f]{5}$/m);
  });

  it("without a failed state to keep, say so", async () => {
    await using build = await openBuild({ capture: false });
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    expect(build.session.can.atFailure).toBe(false);
    const { result } = await build.run(base, ["exit 1"]);
    expect(result).toMatchObject({ ok: false, atFailure: { unavailable: expect.any(String) } });
    expect(
      readdirSync(join(build.stateDirectory, (readdirSync(build.stateDirectory) as [string])[0], "layers")),
    ).toHaveLength(1);
  });
});

describe("secrets", () => {
  const value = "hunter2-correct-horse";
  const secrets = {
    names: ["TOKEN", "OTHER"],
    get: (name: string) => ({ TOKEN: value, OTHER: "other-secret-value" })[name],
  };

  it("reach the step that names them, by environment alone", async () => {
    await using build = await openBuild({ secrets });
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const { stdout } = await build.run(base, [
      ["echo $TOKEN; cat /proc/[0-9]*/cmdline | tr '\\0' ' '; env", { secretEnv: ["TOKEN"], env: { PATH: "/bin" } }],
      ["env", { env: { PATH: "/bin" } }],
      ["env", { secretEnv: ["OTHER"], env: { PATH: "/bin" } }],
    ]);
    expect(stdout[0]?.split("\n")[0]).toBe(value);
    expect(stdout[0]?.split(value)).toHaveLength(3);
    expect(stdout[0]).not.toContain("other-secret-value");
    expect(stdout[0]).not.toMatch(/^(LC_ALL|LIBMOUNT)/m);
    expect(stdout[1]).not.toMatch(/TOKEN|OTHER/);
    expect(stdout[2]).toContain("OTHER=other-secret-value");
    expect(stdout[2]).not.toContain("TOKEN");
  });

  it("are on no disk, also while the step runs, and another value is the same step", async () => {
    const stateDirectory = join(scratch(), "state");
    const changes = { secretEnv: ["TOKEN"] };
    const holders = () => spawnSync("grep", ["-rlsF", "--", value, stateDirectory], { encoding: "utf8" }).stdout;
    {
      await using build = await openBuild({ secrets, stateDirectory });
      const base = await build.session.load(busyboxEnvironment(), { signal: never });
      const holding: string[] = [];
      await build.run(base, [['echo now; read x < /dev/null; test -n "$TOKEN"', changes]], {
        onOutput: () => holding.push(holders()),
      });
      expect(holding).toEqual([""]);
      expect(holders()).toBe("");
    }
    await using build = await openBuild({ secrets: { ...secrets, get: () => "another value" }, stateDirectory });
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const again = await build.run(base, [['echo now; read x < /dev/null; test -n "$TOKEN"', changes]]);
    expect(again.result).toMatchObject({ ok: true, cached: true });
  });

  it("without a value, or named like a variable of the launcher, are refused", async () => {
    await using build = await openBuild({ secrets });
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    for (const name of ["NOT_SET", "LD_PRELOAD", "PATH"])
      await expect(build.run(base, [["true", { secretEnv: [name] }]])).rejects.toMatchObject({ code: "engine" });
  });
});

describe("the cache", () => {
  it("answers for what ran, never for what failed, never for a fresh run", async () => {
    const counter = scratch();
    const mounts = [{ kind: "cache", source: counter, target: "/count" }] as const;
    const count = () => (existsSync(join(counter, "n")) ? readFileSync(join(counter, "n"), "utf8").length : 0);
    const script = "printf x >> /count/n; date +%N > /stamp";
    const stateDirectory = join(scratch(), "state");
    let first = "";
    {
      await using build = await openBuild({ stateDirectory });
      const base = await build.session.load(busyboxEnvironment(), { signal: never });
      const one = await build.run(base, [[script, { mounts }]]);
      expect(one.result).toMatchObject({ ok: true, cached: false });
      const two = await build.run(base, [[script, { mounts }]]);
      expect(two.result).toMatchObject({ ok: true, cached: true });
      expect(two.events).toEqual([]);
      expect(count()).toBe(1);
      first = stateOf(one.result).id;
      expect(stateOf(two.result).id).toBe(first);

      for (const _ of [1, 2])
        expect((await build.run(base, [["printf x >> /count/n; exit 1", { mounts }]])).result.ok).toBe(false);
      expect(count()).toBe(3);

      const fresh = await build.run(base, [[script, { mounts }]], { fresh: "again" });
      expect(fresh.result).toMatchObject({ ok: true, cached: false });
      await build.run(base, [[script, { mounts }]], { fresh: "again" });
      expect(count()).toBe(5);
      expect(stateOf(fresh.result).id).not.toBe(first);
    }
    await using build = await openBuild({ stateDirectory });
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const later = await build.run(base, [[script, { mounts }]]);
    expect(later.result).toMatchObject({ ok: true, cached: true, after: { id: first } });
    expect(count()).toBe(5);
  });

  it("is shared by builds that run at once, and both end on the same state", async () => {
    const stateDirectory = join(scratch(), "state");
    const scripts = ["echo 1 > /one", "date +%N > /two", "date +%N > /three; sleep 0.05"];
    const one = async () => {
      await using build = await openBuild({ stateDirectory });
      let state = await build.session.load(busyboxEnvironment(), { signal: never });
      for (const script of scripts) state = await build.after(state, script);
      return state.id;
    };
    const ids = await Promise.all([one(), one(), one()]);
    expect(new Set(ids).size).toBe(1);
  });
});

describe("an environment", () => {
  it("has its layers' deletions applied", async () => {
    await using build = await openBuild();
    const above = layerFromEntries([
      { header: tarHeader({ name: "var/.wh.old", type: "file" }) },
      { header: tarHeader({ name: "etc", type: "directory", mode: 0o750 }) },
      { header: tarHeader({ name: "etc/.wh..wh..opq", type: "file" }) },
      { header: tarHeader({ name: "etc/only", type: "file" }) },
    ]);
    const { layers, ...rest } = busyboxEnvironment();
    const base = await build.session.load({ ...rest, layers: [...layers, above] }, { signal: never });
    const { stdout } = await build.run(base, ["ls /var; ls /etc | grep -v -e hosts -e resolv.conf; stat -c %a /etc"]);
    expect(stdout[0]).toBe("only\n750\n");
  });

  it("of another digest than it says is refused, and nothing of it stays", async () => {
    await using build = await openBuild();
    const { layers, ...rest } = busyboxEnvironment();
    const [layer] = layers as [(typeof layers)[0]];
    const wrong = { ...layer, diffId: `sha256:${"0".repeat(64)}` as const };
    await expect(build.session.load({ ...rest, layers: [wrong] }, { signal: never })).rejects.toMatchObject({
      code: "environment",
    });
    const base = await build.session.load({ ...rest, layers: [layer] }, { signal: never });
    expect((await build.run(base, ["true"])).result.ok).toBe(true);
  });

  it("that lies in a file is linked where it can be, copied elsewhere, and verified either way", async () => {
    const { layers, ...rest } = busyboxEnvironment();
    const [layer] = layers as [Layer];
    const here = scratch();
    const elsewhere = mkdtempSync("/dev/shm/engine-local-");
    try {
      for (const folder of [here, elsewhere]) {
        const file = join(folder, "layer.tar");
        await writeFileAtomically(file, layer.open("tar"));
        const { size } = statSync(file);
        const stateDirectory = join(here, `state-${basename(folder)}`);
        await using build = await openBuild({ stateDirectory });
        const load = (from: Layer) => build.session.load({ ...rest, layers: [from] }, { signal: never });
        const wrong = layerFromFile(file, { diffId: `sha256:${"0".repeat(64)}`, tarSize: size });
        await expect(load(wrong)).rejects.toMatchObject({ code: "environment" });
        const base = await load(layerFromFile(file, { diffId: layer.diffId, tarSize: size }));
        expect(statSync(file).nlink > 1).toBe(folder === here);
        rmSync(file);
        expect((await build.run(base, ["ls /var/old"])).stdout).toEqual(["a\nb\n"]);
      }
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  it("is unpacked once for all builds", async () => {
    const stateDirectory = join(scratch(), "state");
    let opened = 0;
    const { layers, ...rest } = busyboxEnvironment();
    const counting = layers.map((layer) => ({
      ...layer,
      open: (as: "tar" | "blob") => {
        opened++;
        return layer.open(as);
      },
    }));
    const one = async () => {
      await using build = await openBuild({ stateDirectory });
      await build.session.load({ ...rest, layers: counting }, { signal: never });
    };
    await Promise.all([one(), one()]);
    await one();
    expect(opened).toBe(1);
  });
});
