import { once } from "node:events";
import { existsSync, readdirSync, statSync } from "node:fs";
import { readdir, truncate, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { mountsWith, processesWith } from "@melange2-tooling/machine";
import { program } from "@melange2-tooling/services";
import { describe, expect, it, vi } from "vitest";
import { configOf } from "./judges.ts";
import { program as melange2, type Place, place } from "./melange2.ts";
import { until } from "./observe.ts";
import { ownRecipe } from "./own-recipe.ts";
import { terminal } from "./terminal.ts";
import { identities, userOf } from "./users.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 120_000 });

/** Ours. The step starts processes that nothing but SIGKILL ends, tells that it runs through the cache directory, and goes on. */
const slow = (here: Place, end: string) => `
package:
  name: slow
  version: 1.0
  epoch: 0
  description: Has one step that takes its time
pipeline:
  - runs: echo one > one
  - name: takes its time
    runs: |
      echo half > partial
      trap '' INT TERM HUP
      setsid sh -c 'sleep 86400; :' ${basename(here.directory)} &
      sh -c 'sleep 86400; :' ${basename(here.directory)} &
      ${end}
`;
const goesOn = (here: Place) => slow(here, "echo > /var/cache/melange/started; wait");
const ends = (here: Place) => slow(here, "exit 0");

/** Ours. The export that follows has 32 MB that do not compress. */
const large = `
package:
  name: large
  version: 1.0
  epoch: 0
  description: Fails with much to export
pipeline:
  - runs: dd if=/dev/urandom of=random bs=1M count=32 2>/dev/null; exit 7
`;

const exporting = ["--export-on-failure", "--export-path", "debug.tar"];

async function written(here: Place, recipe: string): Promise<readonly string[]> {
  await writeFile(join(here.directory, "r.yaml"), recipe);
  return ["build", "r.yaml", "--base", (await busyboxRoot()).tar, "--cache-dir", "cache", ...exporting];
}

const started = (here: Place) =>
  until(
    () => existsSync(join(here.directory, "cache/started")),
    () => "the step",
  );

const unfinished = (here: Place) => readdirSync(here.directory).filter((name) => name.endsWith(".part"));

const exportStarted = (here: Place) =>
  until(
    () => unfinished(here).some((name) => statSync(join(here.directory, name)).size > 0),
    () => "the first bytes of the archive",
  );

/** Nothing of the build lives on: the place's name is in the words of its steps' processes, and in all mounts. */
async function leftNothing(here: Place): Promise<void> {
  const name = basename(here.directory);
  await until(
    () => processesWith(name).length === 0,
    () => `the end of ${processesWith(name)}`,
  );
  expect(mountsWith(name)).toEqual([]);
}

/** The folders of sessions: of those that were killed, and of those that live. */
async function sessions(here: Place): Promise<readonly string[]> {
  const engine = join(here.directory, "state/engine-local");
  const mappings = await readdir(engine);
  return (await Promise.all(mappings.map((mapping) => readdir(join(engine, mapping, "tmp"))))).flat();
}

describe("SIGKILL", () => {
  it.concurrent.for(identities)("in a step, as %s", async (identity, test) => {
    await using here = await place(userOf(test, identity));
    const build = here.start(await written(here, goesOn(here)));
    await started(here);
    build.kill("SIGKILL");
    await once(build, "close");
    await leftNothing(here);

    const again = await here.run(await written(here, ends(here)));
    expect(again.code, again.stderr).toBe(0);
    expect(await sessions(here)).toEqual([]);
    await leftNothing(here);
  });

  it.concurrent("in an export", async (test) => {
    program(test, "skopeo");
    await using here = await place();
    const args = await written(here, large);
    const build = here.start(args);
    await exportStarted(here);
    build.kill("SIGKILL");
    await once(build, "close");
    await leftNothing(here);
    expect(existsSync(join(here.directory, "debug.tar"))).toBe(false);

    const again = await here.run(args);
    expect(again.code, again.stderr).toBe(1);
    expect(again.stderr).toContain("exported to");
    expect((await configOf(join(here.directory, "debug.tar"))).config.WorkingDir).toBe("/home/build");
    expect(await sessions(here)).toEqual([]);
  });
});

describe("a reader that does not read keeps nothing from ending", () => {
  const recipe = ownRecipe("red", ["dd if=/dev/zero of=big bs=1M count=64 2>/dev/null; exit 7"]);
  const ways = {
    "debug cat": ["debug", "cat", "big"],
    "an export to standard output": ["debug", "export", "--export-path=-", "--export-compression=none"],
  };
  const cases = Object.entries(ways).flatMap(([what, args]) => [
    { what, args, signal: "SIGINT" as const, code: 130 },
    { what, args, signal: "SIGTERM" as const, code: 143 },
  ]);
  it.concurrent.for(cases)("$what ends by $signal with $code", async ({ args, signal, code }) => {
    await using here = await place();
    await writeFile(join(here.directory, "r.yaml"), recipe);
    expect((await here.run(["build", "r.yaml", "--base", (await busyboxRoot()).tar])).code).toBe(1);
    const child = here.start(args);
    await once(child.stdout, "readable");
    child.kill(signal);
    const before = performance.now();
    expect(await once(child, "exit")).toEqual([code, null]);
    expect(performance.now() - before).toBeLessThan(10_000);
    expect(await sessions(here)).toEqual([]);
    await leftNothing(here);
  });
});

describe("Ctrl-C", () => {
  it.concurrent.for(identities)(
    "in a step ends with 130 and keeps the state, as %s",
    { timeout: 120_000 },
    async (identity, test) => {
      program(test, "script");
      await using here = await place(userOf(test, identity));
      const args = await written(here, goesOn(here));
      const screen = terminal(here, [process.execPath, melange2, ...args].join(" "));
      await started(here);
      expect(await screen.end("\x03")).toBe(130);
      await leftNothing(here);
      expect(screen.seen()).toContain('was interrupted in step "takes its time"');
      expect(existsSync(join(here.directory, "debug.tar"))).toBe(false);

      const listed = await here.run(["debug", "ls"]);
      expect(listed.stdout.toString()).toMatch(/slow-1\.0-r0 .*takes its time .*interrupted/);
      const kept = await here.run(["debug", "cat", "partial"]);
      expect(kept).toMatchObject({ code: 0, stdout: Buffer.from("half\n") });
    },
  );

  it.concurrent("that comes from the terminal and from npm as well is one: the state is kept", async () => {
    await using here = await place();
    const build = here.start(await written(here, goesOn(here)));
    await started(here);
    // Of one kind, both may arrive as one before they are seen.
    for (const signal of ["SIGINT", "SIGINT", "SIGTERM"] as const) build.kill(signal);
    expect(await once(build, "close")).toEqual([130, null]);
    await leftNothing(here);
    expect(await here.run(["debug", "cat", "partial"])).toMatchObject({ code: 0, stdout: Buffer.from("half\n") });
  });

  it.concurrent("before the first step ends with 130 and leaves no half of a layer", async () => {
    await using here = await place();
    const args = await written(here, ends(here));
    const sparse = join(here.directory, "sparse");
    await writeFile(sparse, "");
    await truncate(sparse, 4e9);
    const build = here.start([...args, "--progress=plain"]);
    let said = "";
    build.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    await until(
      () => said.includes("compose environment"),
      () => "the copying of the source",
    );
    build.kill("SIGINT");
    expect((await once(build, "close"))[0], said).toBe(130);
    expect(said).toContain("melange2: error: interrupted");
    expect(await readdir(join(here.directory, "state/bases/tmp"))).toEqual([]);
  });

  it.concurrent("in an export leaves no part of it, and the build failed as it did", async () => {
    await using here = await place();
    const build = here.start(await written(here, large));
    await exportStarted(here);
    build.kill("SIGINT");
    expect((await once(build, "close"))[0]).toBe(1);
    expect(unfinished(here)).toEqual([]);
    expect(existsSync(join(here.directory, "debug.tar"))).toBe(false);
    expect((await here.run(["debug", "export", "--export-path", "debug.tar"])).code).toBe(0);
    await leftNothing(here);
  });
});
