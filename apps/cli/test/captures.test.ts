import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { recordedFailure } from "@melange2/core";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { program, root } from "@melange2-tooling/services";
import { describe, expect, it, vi } from "vitest";
import { everyKind, kinds } from "./every-kind.ts";
import { configOf, unpackedByOthers } from "./judges.ts";
import { place } from "./melange2.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 120_000 });

const captures = ["current-state", "last-good", "two-phase"] as const;
const full = Boolean(process.env.MELANGE2_TEST_FULL);

/** Every kind with one capture, each capture with several kinds; in full runs all with all. */
const cases = kinds.flatMap((kind, at) =>
  captures.filter((_, index) => full || at % captures.length === index).map((capture) => ({ kind, capture })),
);

async function tree(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(folder.length + 1);
    return entry.isDirectory() ? [`${name}/`, ""] : [name, await readFile(path, "utf8")];
  });
  return Object.fromEntries(await Promise.all(files));
}

describe("a failing step of every kind", () => {
  it.concurrent.for(cases)("$kind, captured as $capture", async ({ kind, capture }, test) => {
    root(test);
    program(test, "skopeo");
    program(test, "umoci");
    const expected = everyKind(kind);
    await using here = await place();
    const at = (...names: string[]) => join(here.directory, ...names);
    for (const folder of ["source", "cache", "pipelines/ours"]) await mkdir(at(folder), { recursive: true });
    await chmod(at("cache"), 0o777);
    for (const [name, text] of Object.entries(expected.source)) await writeFile(at("source", name), text);
    await writeFile(at("pipelines/ours/write.yaml"), expected.pipeline);

    const base = ["--base", (await busyboxRoot()).tar, "--pipeline-dir=pipelines", "--cache-dir=cache"];
    const exporting = ["--export-on-failure", "--export-path=debug.tar", `--capture=${capture}`];
    const failed = await here.run(["build", "source/every-kind.yaml", ...base, ...exporting]);
    expect(failed.code, failed.stderr).toBe(1);

    const runs = (await readFile(at("cache/runs"), "utf8")).trimEnd().split("\n");
    const again = capture === "two-phase" ? expected.runs : [];
    expect(runs).toEqual([...expected.runs, kind, ...again]);

    const { config } = await configOf(at("debug.tar"));
    expect(config).toMatchObject({ WorkingDir: expected.workdir, User: "1000:1000" });
    const env = Object.entries(expected.env).map(([name, value]) => `${name}=${value}`);
    expect(config.Env).toEqual(expect.arrayContaining(env));

    await using image = await unpackedByOthers(at("debug.tar"));
    const state = capture === "current-state" ? expected.atFailure : expected.before;
    expect(await tree(join(image.root, "home/build"))).toEqual(state);
    const record = JSON.parse(await image.text("/.melange2/record.json"));
    expect(record.capture).toMatchObject({ strategy: capture, reexecuted: again.length, exact: again.length === 0 });
    expect(recordedFailure(record).step).toMatchObject({ path: expected.path, exit: { code: 7, reason: "exit" } });

    for (const from of full ? ["last-good", "two-phase"] : [capture === "two-phase" ? "two-phase" : "last-good"])
      expect((await here.run(["debug", "rerun", `--capture=${from}`])).code).toBe(7);
  });
});
