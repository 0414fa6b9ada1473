import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { root } from "@melange2-tooling/services";
import { expect, it, vi } from "vitest";
import { type Place, place } from "./melange2.ts";
import { until } from "./observe.ts";
import { ownRecipe } from "./own-recipe.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 180_000 });

const megabytes = 8;
const recipe = ownRecipe("red", ["echo good > good", `head -c ${megabytes}000000 /dev/urandom > half; exit 7`]);

/** Megabytes on disk of all that melange2 keeps. */
async function used(here: Place): Promise<number> {
  const { stdout } = await here.shell("du -s --block-size=1 state");
  return Number.parseInt(stdout.toString(), 10) / 1e6;
}

async function withRecipe() {
  const here = await place();
  const base = (await busyboxRoot()).tar;
  await mkdir(join(here.directory, "source"));
  await writeFile(join(here.directory, "source/red.yaml"), recipe);
  const fail = async () => {
    const failed = await here.run(["build", "source/red.yaml", "--base", base]);
    expect(failed.code, failed.stderr).toBe(1);
    return failed.stderr;
  };
  const prune = async (...args: readonly string[]) => {
    const pruned = await here.run(["debug", "prune", ...args]);
    expect(pruned.code, pruned.stderr).toBe(0);
    expect(pruned.stderr).toBe("");
  };
  return { here, base, fail, prune };
}

it.concurrent("what a forgotten build alone held is off the disk, and what the next one can use is still there", async () => {
  const { here, fail, prune } = await withRecipe();
  await using _ = here;
  await fail();
  const one = await used(here);
  await fail();
  expect(await used(here)).toBeGreaterThan(one + megabytes - 1);
  await prune("--all");
  expect(await used(here)).toBeLessThan(one - megabytes + 1);
  expect(await fail()).toMatch(/step 1\/2.*cached/i);
});

it.concurrent("so is what the oldest of eleven failures held", async () => {
  const { here, fail } = await withRecipe();
  await using _ = here;
  for (let build = 0; build < 10; build++) await fail();
  const ten = await used(here);
  expect(await fail()).toContain("was dropped: the 10 latest failures are kept");
  expect(Math.abs((await used(here)) - ten)).toBeLessThan(1);
});

it.concurrent("a running build is not disturbed; its end frees what was forgotten meanwhile", async () => {
  const { here, base, fail, prune } = await withRecipe();
  await using _ = here;
  await fail();
  const one = await used(here);
  await mkdir(join(here.directory, "shared"));
  const wait = "echo ready; until test -e /var/cache/melange/go; do sleep 0.1; done; test -e good";
  await writeFile(join(here.directory, "source/long.yaml"), ownRecipe("red", ["echo good > good", wait]));
  const args = ["build", "source/long.yaml", "--base", base, "--cache-dir=shared", "--progress=plain"];
  const running = here.start(args);
  let said = "";
  running.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const closed = once(running, "close");
  await until(
    () => /\| ready$/m.test(said),
    () => `the step to begin: ${said}`,
  );
  await prune("--all");
  await writeFile(join(here.directory, "shared/go"), "");
  expect((await closed)[0], said).toBe(0);
  expect(await used(here)).toBeLessThan(one - megabytes + 1);
});

it.concurrent("a step that fills the disk fails like any other, and the disk has room again", async (test) => {
  root(test);
  const { here, base } = await withRecipe();
  await using _ = here;
  const state = join(here.directory, "state");
  await mkdir(state);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=40m", "tmpfs", state]);
  try {
    const fill = ownRecipe("red", ["echo good > good", "cat /dev/zero > all || exit 7"]);
    await writeFile(join(here.directory, "source/red.yaml"), fill);
    const failed = await here.run(["build", "source/red.yaml", "--base", base]);
    expect(failed.code, failed.stderr).toBe(1);
    expect(failed.stderr).toContain("exit status 7");
    expect(await used(here)).toBeLessThan(20);
    const good = await here.run(["debug", "cat", "good"]);
    expect(good.stdout.toString(), good.stderr).toBe("good\n");
  } finally {
    execFileSync("umount", ["-l", state]);
  }
});
