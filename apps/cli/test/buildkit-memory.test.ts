import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { fullRun, root, startBuildkit } from "@melange2-tooling/services";
import { describe, expect, it, type TestContext, vi } from "vitest";
import { type Place, place } from "./melange2.ts";

const megabyte = 1 << 20;
const bound = 300 * megabyte;

// On a busy machine a gigabyte takes its time.
vi.setConfig({ testTimeout: 600_000 });

/** Ours. */
const recipe = (runs: string) => `
package:
  name: large
  version: 1.0
  epoch: 0
  description: Fails, with much around it
pipeline:
  - runs: ${JSON.stringify(runs)}
`;

/** A daemon of this test's own: what it is given is gone with it. */
async function prepare(test: TestContext) {
  fullRun(test);
  root(test);
  const here = await place();
  const daemon = join(here.directory, "buildkitd");
  await mkdir(daemon);
  const { env, stop } = await startBuildkit(daemon);
  Object.assign(here.env, { MELANGE2_ENGINE: "buildkit", BUILDKIT_HOST: env.MELANGE2_TEST_BUILDKIT });
  await mkdir(join(here.directory, "recipe"));
  return {
    here,
    /** A build that exports. Its files are in a folder of their own, since a recipe's neighbours are its sources. */
    async build(base: string, runs: string, ...flags: readonly string[]) {
      await writeFile(join(here.directory, "recipe/large.yaml"), recipe(runs));
      const to = ["--export-on-failure", "--export-path=failed.tar"];
      const ended = await measured(here, [
        "build",
        "recipe/large.yaml",
        "--no-network",
        "--base",
        base,
        ...to,
        ...flags,
      ]);
      await rm(join(here.directory, "failed.tar"), { force: true });
      return ended;
    },
    async [Symbol.asyncDispose]() {
      await stop?.();
      await here[Symbol.asyncDispose]();
    },
  };
}

/** Runs melange2; the most memory that it or a child of it had, in bytes, and what it said: how much of it, and its end. */
async function measured(here: Place, args: readonly string[]) {
  const child = here.start(args);
  child.stdin.end();
  child.stdout.resume();
  let said = 0;
  let end = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text.length;
    end = (end + text.slice(-4096)).slice(-4096);
  });
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, peakOf(child.pid));
  }, 10);
  const [code] = (await once(child, "close")) as [number | null];
  clearInterval(watch);
  return { code, peak, said, end };
}

/** 0 once the process is gone. */
function peakOf(pid: number | string | undefined): number {
  try {
    const own = Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
    return Math.max(own, ...children.map(peakOf));
  } catch {
    return 0;
  }
}

describe("the memory of a build on buildkitd stays below 300 MB", () => {
  it("with a base of 1 GB, which is exported as it is and compressed", async (test) => {
    await using space = await prepare(test);
    const { here, build } = space;
    const { directory } = await busyboxRoot();
    const made = await here.shell(
      `cp -a '${directory}' root && dd if=/dev/urandom of=root/large bs=1M count=1024 && tar -cf base.tar -C root . && rm -r root`,
    );
    expect(made.code, made.stderr).toBe(0);
    for (const compression of ["none", "gzip"]) {
      const { code, peak, end } = await build("base.tar", "exit 7", `--export-compression=${compression}`);
      expect(code, end).toBe(1);
      expect(end).toMatch(/exported to \S+ \(1\.1 GB\)/);
      expect(peak).toBeLessThan(bound);
      expect(peak).toBeGreaterThan(0);
    }
  });

  it("with a step's log of 100 MB, in lines long and short or in one, shown or told to a program", async (test) => {
    await using space = await prepare(test);
    const { tar } = await busyboxRoot();
    const lines =
      "yes 'a line of some length that goes to the log, again and again and again' | head -c 104857600; exit 7";
    const short = "yes | head -c 104857600; exit 7";
    const line = "head -c 104857600 /dev/zero | tr '\\0' x; exit 7";
    for (const [runs, ...flags] of [[lines], [lines, "--progress=rawjson"], [short], [line]] as const) {
      const { code, peak, said, end } = await space.build(tar, runs, ...flags);
      expect(code, end).toBe(1);
      expect(said).toBeGreaterThan(100 * megabyte);
      expect(peak).toBeLessThan(bound);
      expect(peak).toBeGreaterThan(0);
    }
  });
});
