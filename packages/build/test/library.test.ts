import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import currentState from "@melange2/capture-current-state";
import lastGood from "@melange2/capture-last-good";
import type { EventBody } from "@melange2/core";
import buildkitEngine from "@melange2/engine-buildkit";
import localEngine from "@melange2/engine-local";
import registry from "@melange2/exporter-registry";
import tarball from "@melange2/exporter-tarball";
import { provided, root } from "@melange2-tooling/services";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type BuildHost,
  type BuildOptions,
  build,
  copyOut,
  type EngineChoice,
  failureStore,
  forgetBuilds,
  openKeptBuild,
  partsOf,
  placesIn,
  readFileAt,
  readyExport,
  runInScratch,
} from "../src/index.ts";

const { signal } = new AbortController();
const run = promisify(execFile);
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "melange2-build-"));
});
afterEach(() => rm(folder, { recursive: true }));

const recipe = `package: {name: hello, version: 1.0.0, epoch: 0, description: x}
pipeline:
  - runs: echo first > first
  - runs: echo partial > partial; echo "why it broke"; exit 7
`;

function host(): BuildHost {
  return {
    places: placesIn(join(folder, "state")),
    parts: partsOf({
      engines: { local: localEngine, buildkit: buildkitEngine },
      exporters: [tarball, registry],
      captures: [currentState, lastGood],
    }),
    env: { PATH: process.env.PATH },
    directory: folder,
    output: { unusable: "it is the test's", hint: "Name a file." },
    toolVersion: "0.0.0",
  };
}

async function options(engine: EngineChoice, base: string, more: Partial<BuildOptions> = {}): Promise<BuildOptions> {
  await writeFile(join(folder, "hello.yaml"), recipe);
  return {
    recipe: join(folder, "hello.yaml"),
    base,
    engine,
    outDirectory: join(folder, "packages"),
    tell: () => {},
    signal,
    ...more,
  };
}

const toFile = (path: string, capture = "current-state") => ({
  type: "tarball",
  capture,
  options: [{ name: "path", value: path, source: "a test" }],
  allowSecrets: false,
  strict: false,
});

/** Names in the layers of an archive, read by the system's tar. */
async function namesIn(archive: string): Promise<string> {
  const { stdout } = await run("tar", ["-xOf", archive, "manifest.json"]);
  const [{ Layers }] = JSON.parse(stdout) as [{ readonly Layers: readonly string[] }];
  const lists = Layers.map(
    async (layer) => (await run("sh", ["-c", 'tar -xOf "$1" "$2" | tar -tzf -', "sh", archive, layer])).stdout,
  );
  return (await Promise.all(lists)).join("");
}

test.for([
  ["local", "MELANGE2_TEST_BUSYBOX_TAR"],
  ["buildkit", "MELANGE2_TEST_BUILDKIT"],
] as const)(
  "on %s: a build fails, is exported, opened, looked into, exported again and forgotten",
  async ([name, needs], context) => {
    root(context);
    const base = provided(context, "MELANGE2_TEST_BUSYBOX_TAR");
    const address = provided(context, needs);
    const engine = { name, options: name === "buildkit" ? { "buildkit-addr": address } : {} };
    const events: EventBody[] = [];
    const first = join(folder, "first.tar");
    const outcome = await build(
      await options(engine, base, { exportOnFailure: toFile(first), tell: (event) => events.push(event) }),
      host(),
    );
    expect(outcome).toMatchObject({
      status: "failed",
      package: "hello",
      failure: {
        exit: { code: 7 },
        kept: true,
        lastLines: ["why it broke"],
        export: { ok: true, exporter: "tarball" },
      },
    });
    expect(events.map(({ type }) => type)).toContain("build-finished");
    expect(await namesIn(first)).toContain("home/build/partial");

    const [stored] = (await failureStore(host().places.builds).list()).failures;
    if (stored === undefined || outcome.status === "skipped") throw new Error("nothing is kept");
    expect(stored.id).toBe(outcome.build);
    const second = join(folder, "second.tar");
    {
      await using kept = await openKeptBuild({ host: host(), stored, tell: () => {}, signal });
      const { snapshot } = await kept.capture("current-state");
      const pieces: Buffer[] = [];
      const sink = new Writable({
        write(chunk, _, done) {
          pieces.push(chunk);
          done();
        },
      });
      await readFileAt(kept, snapshot, "partial", sink, signal);
      expect(Buffer.concat(pieces).toString()).toBe("partial\n");
      await copyOut(kept, snapshot, "first", join(folder, "copy"), { tell: () => {}, signal });
      expect(await readFile(join(folder, "copy"), "utf8")).toBe("first\n");
      const exit = await runInScratch(kept, await kept.capture("last-good"), {
        argv: ["/bin/sh", "-c", "test -e first && ! test -e partial && exit 9"],
        workdir: kept.step.workdir,
        env: {},
        interactive: false,
        signal,
      });
      expect(exit.code).toBe(9);
      const ready = await readyExport(host(), toFile(second, "last-good"), stored.record.subject, {
        tell: () => {},
        signal,
      });
      expect((await kept.export(ready)).receipt.location).toBe(second);
    }
    expect(await namesIn(second)).not.toContain("home/build/partial");
    const gone = await forgetBuilds({ host: host(), build: undefined, force: false, tell: () => {}, signal });
    expect(gone).toEqual({ forgotten: [stored.id], notFreed: [] });
  },
);

test("a build that succeeds leaves its files, and a recipe for another architecture is skipped", async (context) => {
  root(context);
  const base = provided(context, "MELANGE2_TEST_BUSYBOX_TAR");
  const engine = { name: "local", options: {} };
  const good = await options(engine, base);
  await writeFile(good.recipe, recipe.replace("exit 7", `echo hi > "\${{targets.destdir}}/hi"`));
  expect(await build(good, host())).toMatchObject({ status: "built" });
  await writeFile(good.recipe, recipe.replace("epoch: 0", "epoch: 0, target-architecture: [riscv64]"));
  expect(await build(good, host())).toMatchObject({ status: "skipped" });
});

test.for([
  [{ engine: { name: "other", options: {} } }, { code: "usage", hint: "There are: local, buildkit." }],
  [{ base: undefined }, { code: "usage" }],
  [{ base: "/nowhere.tar" }, { code: "environment" }],
  [{ exportOnFailure: { ...toFile("-"), type: "nothing" } }, { code: "usage", hint: "There are: tarball, registry." }],
  [{ exportOnFailure: toFile("-") }, { code: "usage", hint: "Name a file." }],
] as const)("what cannot be is refused before the first step: %j", async ([more, error], context) => {
  root(context);
  const base = provided(context, "MELANGE2_TEST_BUSYBOX_TAR");
  const given = await options({ name: "local", options: {} }, base, more as Partial<BuildOptions>);
  await expect(build(given, host())).rejects.toMatchObject(error);
});

test("the README shows the sample as it is, and it pushes the image of a failure", async (context) => {
  root(context);
  const base = provided(context, "MELANGE2_TEST_BUSYBOX_TAR");
  const registryHost = provided(context, "MELANGE2_TEST_REGISTRY");
  const sample = new URL("samples/push-failure.ts", import.meta.url);
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  expect(readme).toContain(`\`\`\`ts file=push-failure.ts\n${await readFile(sample, "utf8")}\`\`\``);

  await writeFile(join(folder, "hello.yaml"), recipe);
  const reference = `${registryHost}/build/sample-${Date.now()}:1`;
  const words = ["--conditions=melange2-source", fileURLToPath(sample), "hello.yaml", base, reference];
  const { stdout } = await run(process.execPath, words, { cwd: folder });
  expect(stdout).toMatch(new RegExp(`failed ${reference}\\n$`));
  const name = reference.slice(registryHost.length + 1).replace(/:1$/, "");
  const manifest = await fetch(`http://${registryHost}/v2/${name}/manifests/1`, {
    headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
  });
  expect(manifest.status).toBe(200);
});
