import { once } from "node:events";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buffer, text } from "node:stream/consumers";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { program } from "@melange2-tooling/services";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { configOf } from "./judges.ts";
import { arch, program as melange2, type Place, place } from "./melange2.ts";
import { ownRecipe } from "./own-recipe.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 120_000 });

const recipes = {
  green: ownRecipe("green", ["mkdir -p melange-out/green; echo hello > melange-out/green/f; echo said"]),
  red: ownRecipe("red", ["echo one > one", "echo said; exit 7"]),
  foreign: ownRecipe("foreign", ["exit 7"]).replace("pipeline:", "  target-architecture: [riscv64]\npipeline:"),
};

let here: Place;
let base: string;
beforeAll(async () => {
  here = await place();
  base = (await busyboxRoot()).tar;
  for (const [name, recipe] of Object.entries(recipes)) {
    await mkdir(join(here.directory, name));
    await writeFile(join(here.directory, name, `${name}.yaml`), recipe);
  }
});
afterAll(() => here[Symbol.asyncDispose]());

/** Each recipe has a folder of its own, which is its source. */
const build = (name: keyof typeof recipes, ...more: readonly string[]) => {
  return ["build", `${name}/${name}.yaml`, "--base", base, "--out-dir", `${name}/out`, ...more];
};
const exportTo = (path: string) => ["--export-on-failure", `--export-path=${path}`];

describe("--json is one document on standard output", () => {
  it.concurrent("of a build that succeeds", async () => {
    const { code, value, stderr } = await here.json(build("green"));
    expect(code).toBe(0);
    const directory = join(here.directory, `green/out/${arch}/green`);
    expect(value).toMatchObject({
      status: "built",
      package: "green",
      version: "1.0-r0",
      steps: [{ path: "pipeline[0]", exit: { code: 0, reason: "exit" } }],
      output: [{ package: "green", directory }],
    });
    expect(await readFile(join(directory, "f"), "utf8")).toBe("hello\n");
    expect(stderr).toContain("built green-1.0-r0");
  });

  it.concurrent("of a build that fails, with its export", async () => {
    const { code, value } = await here.json(build("red", ...exportTo("json.tar")));
    expect(code).toBe(1);
    expect(value).toMatchObject({
      status: "failed",
      steps: [{ state: "done" }, { state: "failed", exit: { code: 7, reason: "exit" } }],
      failure: {
        path: "pipeline[1]",
        location: { file: "red/red.yaml", line: 9, column: 5 },
        exit: { code: 7 },
        lastLines: ["said"],
        kept: true,
        export: { ok: true, receipt: { location: join(here.directory, "json.tar") } },
      },
    });
  });

  it.concurrent("of a build that is refused", async () => {
    const { code, value } = await here.json(["build", "nix.yaml"]);
    expect(code).toBe(2);
    expect(value).toMatchObject({ error: { code: "not-found", hint: expect.any(String) } });
  });

  it.concurrent("of a recipe for other machines", async () => {
    const { code, value } = await here.json(build("foreign"));
    expect(code).toBe(0);
    expect(value).toMatchObject({ status: "skipped", reason: expect.stringContaining("riscv64") });
  });
});

describe("--export-path=-", () => {
  it.concurrent("puts the archive on standard output and everything else on standard error", async (test) => {
    program(test, "skopeo");
    const ended = await here.run(build("red", ...exportTo("-")));
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("exported to standard output");
    const archive = join(here.directory, "from-stdout.tar");
    await writeFile(archive, ended.stdout);
    expect((await configOf(archive)).config.Labels["melange2.exit-code"]).toBe("7");
    // A tar reader that minds what follows the end of the archive.
    const names = await text(here.spawn(["tar", "--ignore-zeros", "-tf", archive]).stdout);
    expect(names.split("\n")).toContain("manifest.json");
    const sizes = /exported to standard output \(([\d.]+) MB\)/.exec(ended.stderr);
    expect(ended.stdout.length / 1e6).toBeCloseTo(Number(sizes?.[1]), 1);
  });

  const into = (where: string, args: readonly string[]) => {
    const child = here.spawn(["sh", "-c", `exec "$@" ${where}`, "sh", process.execPath, melange2, ...args]);
    child.stdin.end();
    return Promise.all([once(child, "close"), text(child.stderr), buffer(child.stdout)]);
  };

  it.concurrent("on a full disk is told beside the failed step, and afterwards is a failed export", async () => {
    const [[code], stderr] = await into("> /dev/full", build("red", ...exportTo("-")));
    expect(code).toBe(1);
    expect(stderr).toMatch(/the export \(tarball\) failed: .*ENOSPC/);
    const [, id = ""] = /debug export (\S+)/.exec(stderr) ?? [];
    const [[later], again] = await into("> /dev/full", ["debug", "export", id, "--export-path=-"]);
    expect(later).toBe(4);
    expect(again).toMatch(/^melange2: error: .*ENOSPC/m);
  });

  it.concurrent("into a reader that goes away is no fault of the build", async () => {
    const [[code], stderr, read] = await into("| head -c 9", build("red", ...exportTo("-")));
    expect(code).toBe(0);
    expect(read).toHaveLength(9);
    expect(stderr).toContain("The program that reads standard output ended");
    expect(stderr).not.toMatch(/^ {4}at /m);
  });
});

/** Every line has to be one. */
const eventsIn = (stderr: string) =>
  stderr
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe("progress", () => {
  it.concurrent("plain is whole lines", async () => {
    const { stderr } = await here.run(build("red", "--progress=plain"));
    expect(stderr).not.toContain("\x1b");
    expect(stderr.split("\n")).toEqual(
      expect.arrayContaining([
        "=> step 1/2 [red] echo one > one (red/red.yaml:8:5)",
        "=> step 2/2 [red] echo said; exit 7 (red/red.yaml:9:5)",
        "   2| said",
        expect.stringMatching(/^=> step 2\/2 FAILED, exit status 7, after /),
      ]),
    );
  });

  it.concurrent("rawjson is one event a line and nothing else", async () => {
    const { stderr } = await here.run(build("red", ...exportTo("raw.tar"), "--progress=rawjson"));
    const events = eventsIn(stderr);
    expect(events.find(({ type }) => type === "build-started")).toMatchObject({
      subject: { name: "red" },
      source: { kind: "melange", file: "red/red.yaml" },
    });
    expect(new Set(events.map(({ build }) => build)).size).toBe(1);
    const finished = events.filter(({ type }) => type === "step-finished");
    expect(finished.map(({ step, state }) => [step, state])).toEqual([
      ["main-0", expect.stringMatching(/done|cached/)],
      ["main-1", "failed"],
    ]);
    expect(events.find(({ type }) => type === "step-output")).toMatchObject({ step: "main-1", text: "said" });
    expect(events.find(({ type }) => type === "exported")).toMatchObject({ exporter: "tarball" });
    expect(events.at(-1)).toMatchObject({ type: "build-finished", status: "failed" });
  });

  it.concurrent("rawjson tells of a refused command line or recipe in events", async () => {
    const flag = await here.run(build("red", "--bogus"), { env: { MELANGE2_PROGRESS: "rawjson" } });
    expect(eventsIn(flag.stderr)).toEqual([
      expect.objectContaining({ type: "notice", level: "error", message: expect.stringContaining("--bogus") }),
    ]);
    await writeFile(join(here.directory, "wrong.yaml"), "package:\n  name: wrong\n  epoch: x\nbogus: 1\n");
    const { code, stderr, stdout } = await here.run(["build", "wrong.yaml", "--progress", "rawjson", "--json"]);
    expect(code).toBe(2);
    const { error } = JSON.parse(stdout.toString()) as { error: { problems: { message: string }[] } };
    expect(error.problems.length).toBeGreaterThan(1);
    const [first, ...others] = eventsIn(stderr);
    expect(first).toMatchObject({
      type: "notice",
      level: "error",
      message: expect.stringMatching(/^wrong\.yaml:.*problems/),
    });
    expect(others.map(({ message }) => message)).toEqual(
      error.problems.map(({ message }) => expect.stringContaining(`: ${message}`)),
    );
  });

  it.concurrent("rawjson tells of a result that cannot be written in an event", async () => {
    const child = here.spawn(
      ["sh", "-c", 'exec "$@" > /dev/full', "sh", process.execPath, melange2, ...build("red")].concat(
        "--progress=rawjson",
        "--json",
      ),
    );
    child.stdin.end();
    const [[code], stderr] = await Promise.all([once(child, "close"), text(child.stderr)]);
    expect(code).toBe(1);
    expect(eventsIn(stderr).at(-1)).toMatchObject({ level: "error", message: expect.stringContaining("ENOSPC") });
  });

  it.concurrent("rawjson ends a build that breaks off, such as one whose files cannot be written", async () => {
    const block = "mkdir -p melange-out/blocks; echo > /var/cache/melange/$(uname -m)";
    await mkdir(join(here.directory, "blocks"));
    await writeFile(join(here.directory, "blocks/blocks.yaml"), ownRecipe("blocks", [block]));
    const folders = ["--cache-dir=blocks/cache", "--out-dir=blocks/cache"];
    const args = ["build", "blocks/blocks.yaml", "--base", base, ...folders, "--progress=rawjson"];
    const { code, stderr } = await here.run(args);
    expect(code, stderr).toBe(3);
    expect(eventsIn(stderr).slice(-2)).toMatchObject([
      { type: "notice", level: "error", message: expect.stringMatching(/could not be written to .*EEXIST/) },
      { type: "build-finished", status: "failed" },
    ]);
  });
});

it("what is read from standard input belongs to the shell, not to the arguments", async () => {
  await here.run(build("red"));
  const shell = await here.run(["debug", "shell", "--capture=last-good"], { input: "pwd; cat one; exit 9\n" });
  expect(shell).toMatchObject({ code: 9, stdout: Buffer.from("/home/build\none\n") });
  expect(await readdir(here.directory)).not.toContain("packages");
});
