import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { fullRun, program, provided, root, startRelay } from "@melange2-tooling/services";
import { describe, expect, it, vi } from "vitest";
import { daemons, onBuildkit } from "./daemons.ts";
import { type Place, place } from "./melange2.ts";

const call = promisify(execFile);
const megabyte = 1 << 20;

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 180_000 });

/** Ours. Every run of a step is one more line in the cache mount; `word` is this test's own, `last` the last step's script. */
const recipe = (word: string, last: string) => `
package:
  name: counted
  version: 1.0
  epoch: 0
  description: Counts what runs
pipeline:
  - name: large
    runs: |
      echo large >> /counts/${word}
      dd if=/dev/urandom of=large bs=1M count=32 2>/dev/null
  - name: last
    runs: |
      echo last >> /counts/${word}
      echo "out of ${word}"
      echo "more of ${word}" >&2
      ${last}
`;

const fails = "exit 7";

async function counting(here: Place, base: string, env: NodeJS.ProcessEnv = {}) {
  Object.assign(here.env, env);
  const word = basename(here.directory);
  await mkdir(join(here.directory, "source"));
  const write = (last: string) => writeFile(join(here.directory, "r.yaml"), recipe(word, last));
  await write(fails);
  return {
    word,
    write,
    build: (...flags: readonly string[]) =>
      here.run([
        "build",
        "r.yaml",
        "--no-network",
        "--base",
        base,
        "--source-dir=source",
        "--cache-mount=economy:/counts",
        ...flags,
      ]),
    /** How often which step ran, by the daemon's own cache mount. */
    async runs() {
      const { stdout, stderr } = await here.run(["debug", "shell", "--", "cat", `/counts/${word}`]);
      expect(stderr).not.toContain("error");
      const lines = stdout.toString().split("\n");
      return {
        large: lines.filter((line) => line === "large").length,
        last: lines.filter((line) => line === "last").length,
      };
    },
  };
}

/** A base with 64 MB that do not compress. */
async function largeBase(here: Place): Promise<string> {
  const { directory } = await busyboxRoot();
  const made = await here.shell(`cp -a '${directory}' base && dd if=/dev/urandom of=base/large bs=1M count=64`);
  expect(made.code, made.stderr).toBe(0);
  return join(here.directory, "base");
}

describe("what goes over the client's connection to a daemon", () => {
  it("is the base once; a push, the steps' work and a second base are under a megabyte, and nothing runs for them", async (test) => {
    root(test);
    program(test, "skopeo");
    const registry = provided(test, "MELANGE2_TEST_REGISTRY");
    await using way = await startRelay(provided(test, "MELANGE2_TEST_BUILDKIT"));
    await using here = await place();
    const { build, runs, write } = await counting(here, await largeBase(here), {
      MELANGE2_ENGINE: "buildkit",
      BUILDKIT_HOST: way.address,
    });
    const first = await build();
    expect(first.code, first.stderr).toBe(1);
    expect(way.sent).toBeGreaterThan(64 * megabyte);
    expect(await runs()).toEqual({ large: 1, last: 1 });

    for (const [position, capture] of ["current-state", "last-good"].entries()) {
      const before = way.sent;
      const reference = `${registry}/economy/${randomUUID()}:failed`;
      await write(`: ${capture}; ${fails}`);
      const exporting = ["--export-on-failure", "--export-type=registry", `--export-ref=${reference}`];
      const pushed = await build(...exporting, `--capture=${capture}`);
      expect(pushed.code, pushed.stderr).toBe(1);
      expect(pushed.stderr).toContain(`exported to ${reference}`);
      expect(pushed.stderr).toContain(`(${capture}; 0 steps run again)`);
      expect(way.sent - before).toBeLessThan(megabyte);
      const later = await here.run(["debug", "export", "--export-type=registry", `--export-ref=${reference}-later`]);
      expect(later.code, later.stderr).toBe(0);
      expect(way.sent - before).toBeLessThan(megabyte);
      expect(await runs()).toEqual({ large: 1, last: position + 2 });
      const { stdout } = await call("skopeo", ["inspect", "--raw", "--tls-verify=false", `docker://${reference}`]);
      const layers = (JSON.parse(stdout) as { layers: { size: number }[] }).layers;
      expect(layers.reduce((sum, { size }) => sum + size, 0)).toBeGreaterThan(96 * megabyte);
    }
  });
});

describe.each(daemons)("a failed build, again, on $name", (daemon) => {
  it("has its log each time and is never shown as cached; what was good is not run again", async (test) => {
    root(test);
    if (daemon.scheme !== "") fullRun(test);
    await using here = await place();
    const { build, runs, write, word } = await counting(here, (await busyboxRoot()).tar, onBuildkit(test, daemon));
    const expectRealFailure = ({ code, stderr }: Awaited<ReturnType<typeof build>>) => {
      expect(code, stderr).toBe(1);
      expect(stderr).toMatch(/=> step 2\/2 FAILED, exit status 7/);
      expect(stderr).toMatch(new RegExp(`^ *2\\| out of ${word}$`, "m"));
      expect(stderr).toMatch(new RegExp(`^ *2\\| more of ${word}$`, "m"));
    };
    expectRealFailure(await build());
    const again = await build();
    expectRealFailure(again);
    expect(again.stderr).toMatch(/=> step 1\/2 .*cached/i);
    expect(await runs()).toEqual({ large: 1, last: 2 });

    await write("exit 0");
    const fixed = await build();
    expect(fixed.code, fixed.stderr).toBe(0);
    await write(fails);
    expectRealFailure(await build());
    expect(await runs()).toEqual({ large: 1, last: 4 });
  });

  it("by two clients at once, has its whole log for both, and the good step has run once", async (test) => {
    root(test);
    if (daemon.scheme !== "") fullRun(test);
    await using here = await place();
    const env = onBuildkit(test, daemon);
    const { build, runs, word } = await counting(here, (await busyboxRoot()).tar, env);
    await using there = await place();
    const other = await counting(there, (await busyboxRoot()).tar, env);
    await writeFile(join(there.directory, "r.yaml"), recipe(word, fails));
    for (const { code, stderr } of await Promise.all([build(), other.build()])) {
      expect(code, stderr).toBe(1);
      expect(stderr).toMatch(/=> step 2\/2 FAILED, exit status 7/);
      expect(stderr).toMatch(new RegExp(`^ *2\\| out of ${word}$`, "m"));
      expect(stderr).toMatch(new RegExp(`^ *2\\| more of ${word}$`, "m"));
    }
    expect((await runs()).large).toBe(1);
  });
});
