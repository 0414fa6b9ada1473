import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { program, provided, root, type Skippable } from "@melange2-tooling/services";
import { describe, expect, it, vi } from "vitest";
import { daemons, onBuildkit } from "./daemons.ts";
import { configOf, unpackedByOthers } from "./judges.ts";
import { type Place, place } from "./melange2.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 180_000 });

/** Ours. Every run of a step is one more line in the cache mount. */
const recipe = (word: string) => `
package:
  name: lost
  version: 1.0
  epoch: 0
  description: Fails in its second step, and counts what runs
pipeline:
  - runs: echo first >> /counts/${word}; echo made > first
  - runs: echo second >> /counts/${word}; echo half > partial; exit 7
`;

const engines = [
  { engine: "the embedded engine", daemon: undefined },
  { engine: "buildkitd", daemon: daemons[0] },
];

interface Subject extends AsyncDisposable {
  readonly here: Place;
  readonly id: string;
  run(args: readonly string[], code: number): Promise<{ stdout: string; stderr: string }>;
  /** Has the engine forget the states. */
  lose(test: Skippable): Promise<void>;
}

async function failed(test: Skippable, daemon: (typeof engines)[number]["daemon"], ...flags: readonly string[]) {
  const here = await place();
  if (daemon !== undefined) Object.assign(here.env, onBuildkit(test, daemon));
  const word = here.directory.replace(/.*\W/, "");
  await writeFile(join(here.directory, "lost.yaml"), recipe(word));
  const run: Subject["run"] = async (args, code) => {
    const { code: ended, stdout, stderr } = await here.run(args);
    expect(ended, stderr).toBe(code);
    return { stdout: stdout.toString(), stderr };
  };
  const base = (await busyboxRoot()).tar;
  await run(["build", "lost.yaml", "--no-network", "--base", base, "--cache-mount=test:/counts", ...flags], 1);
  const { stdout: listed } = await run(["debug", "ls"], 0);
  const id = /^(\d\S+) /m.exec(listed)?.[1] ?? "";
  return {
    here,
    id,
    run,
    /** From the next build on; a step that runs for this is not counted. */
    counted: async () =>
      (await run(["debug", "shell", "--capture=last-good", "--", "cat", `/counts/${word}`], 0)).stdout
        .split("\n")
        .slice(0, -1),
    lose: () => (daemon === undefined ? loseLocal(here) : loseInDaemon(test, here, id)),
    [Symbol.asyncDispose]: () => here[Symbol.asyncDispose](),
  };
}

async function loseLocal(here: Place): Promise<void> {
  const state = join(here.directory, "state", "engine-local");
  for (const tree of await readdir(state)) {
    for (const part of ["layers", "cache", "keep"]) await rm(join(state, tree, part), { recursive: true, force: true });
  }
}

async function loseInDaemon(test: Skippable, here: Place, id: string): Promise<void> {
  const buildctl = provided(test, "MELANGE2_TEST_BUILDCTL");
  const kept = readFileSync(join(here.directory, "state", "builds", id, "states.json"), "utf8");
  const markers = [...kept.matchAll(/"marker": "(\S+)"/g)].map(([, marker]) => marker);
  const address = here.env.BUILDKIT_HOST ?? "";
  // What stands on a record has to go before it.
  for (const marker of new Set(markers.reverse())) {
    execFileSync(buildctl, ["--addr", address, "prune", "--all", "--filter", `type==regular,description~=${marker}`]);
  }
}

describe.each(engines)("a failed build whose states are gone, on $engine", ({ daemon }) => {
  it("says so and runs nothing; with --rerun runs its steps again, and has them from then on", async (test) => {
    root(test);
    program(test, "skopeo");
    program(test, "umoci");
    await using build = await failed(test, daemon);
    const { run, here } = build;
    expect(await build.counted()).toEqual(["first", "second"]);
    await build.lose();

    const gone = await run(["debug", "export", "--export-path=gone.tar"], 3);
    expect(gone.stderr).toContain(`the states of build ${build.id} are gone from the engine`);
    expect(gone.stderr).toContain("debug export --rerun (about 2 steps would run again)");

    const restored = await run(["debug", "export", "--rerun", "--export-path=again.tar"], 0);
    expect(restored.stdout).toContain("as the step left it (current-state; 2 steps run again)");
    expect(await build.counted()).toEqual(["first", "second", "first", "second"]);
    await using image = await unpackedByOthers(join(here.directory, "again.tar"));
    expect(await image.text("home/build/partial")).toBe("half\n");
    await run(["debug", "export", "--export-path=later.tar"], 0);
    const [first, later] = await Promise.all(
      ["again.tar", "later.tar"].map((name) => configOf(join(here.directory, name))),
    );
    expect(later?.config).toEqual(first?.config);
    expect(await build.counted()).toHaveLength(4);
  });
});

describe.each(engines)("a build without capture, on $engine", ({ daemon }) => {
  it("keeps the state before the failed step and not the one it left", async (test) => {
    await using build = await failed(test, daemon, "--no-capture");
    const { run } = build;
    const { stdout, stderr } = await run(["debug", "shell", "--", "ls"], 0);
    expect(stdout).toBe("first\nlost.yaml\nmelange-out\n");
    expect(stderr).toBe("");
    await run(["debug", "export", "--export-path=before.tar"], 0);
    const restored = await run(["debug", "export", "--rerun", "--export-path=left.tar"], 0);
    expect(restored.stdout).toContain("as the step left it (current-state; 1 step run again)");
    expect((await run(["debug", "cat", "partial"], 0)).stdout).toBe("half\n");
  });
});
