import { existsSync } from "node:fs";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { fullRun, program, provided, root } from "@melange2-tooling/services";
import { describe, expect, it, type TestContext } from "vitest";
import { counters, type FaultyStep, partialFile, withFault } from "./fault.ts";
import { docker, unpackedByOthers } from "./judges.ts";
import { type Place, place } from "./melange2.ts";

/** Real recipes that need nothing but busybox. `makes`: a file of the package and a piece of it. */
const recipes = [
  {
    name: "python-as-wrapper",
    makes: ["python3-as-3.12/usr/bin/python3", "python3.12"],
    faults: ["first", "subpackage"],
  },
  {
    name: "microvm-observability-hook",
    makes: ["microvm-observability-hook/usr/lib/systemd/system/tetragon.service", "ExecStart=/usr/bin/tetragon"],
    faults: ["first", "middle", "last"],
  },
  {
    name: "wolfi-keys",
    makes: ["wolfi-keys/etc/apk/keys/wolfi-signing.rsa.pub", "BEGIN PUBLIC KEY"],
    faults: ["first"],
  },
  { name: "pax-utils-bootstrap", makes: undefined, faults: ["last"] },
  { name: "font-xorg", makes: undefined, faults: ["middle"] },
] as const;

const captures = ["current-state", "last-good", "two-phase"] as const;

const daemons = [
  { name: "Docker 20.10", variable: "MELANGE2_TEST_DOCKER20" },
  { name: "Docker 28", variable: "MELANGE2_TEST_DOCKER28" },
  { name: "Docker 28 with the containerd image store", variable: "MELANGE2_TEST_DOCKER28_CONTAINERD" },
] as const;

/** Of the three strategies one for each recipe and step; full runs have all. */
function inEachRun(name: string, where: string): (typeof captures)[number] {
  const index = recipes.findIndex((each) => each.name === name) + where.length;
  return captures[index % captures.length] as (typeof captures)[number];
}

async function inPlace(
  test: TestContext,
  name: string,
): Promise<{ here: Place; recipe: string; args: readonly string[] }> {
  root(test);
  const corpus = provided(test, "MELANGE2_TEST_CORPUS_RECIPES");
  const here = await place();
  const recipe = join(here.directory, `${name}.yaml`);
  await cp(join(corpus, "recipes", `${name}.yaml`), recipe);
  const folder = join(corpus, "recipes", name);
  if (existsSync(folder)) await cp(folder, join(here.directory, name), { recursive: true });
  const base = (await busyboxRoot()).tar;
  return { here, recipe, args: ["build", recipe, "--base", base, "--pipeline-dir", join(corpus, "pipelines")] };
}

describe.each(recipes)("$name, a real recipe", ({ name, makes, faults }) => {
  it("is built whole", async (test) => {
    const { here, args } = await inPlace(test, name);
    await using _ = here;
    const built = await here.run(args);
    expect(built.stderr).toContain(`built ${name}-`);
    expect(built.code).toBe(0);
    expect(built.stdout.length).toBe(0);
    if (makes) {
      const [file, piece] = makes;
      expect(await readFile(join(here.directory, "packages", "x86_64", file), "utf8")).toContain(piece);
    }
  });

  it.for(faults.flatMap((where) => captures.map((capture) => ({ where: where as FaultyStep, capture }))))(
    "broken in its $where step, captured as $capture",
    async ({ where, capture }, test) => {
      if (capture !== inEachRun(name, where)) fullRun(test);
      const { here, recipe, args } = await inPlace(test, name);
      await using _ = here;
      program(test, "umoci");
      await writeFile(recipe, withFault(await readFile(recipe, "utf8"), where));
      const archive = join(here.directory, "debug.tar");
      const cache = join(here.directory, "cache");
      const exporting = ["--cache-dir", cache, "--export-on-failure", "--export-path", archive, "--capture", capture];
      const failed = await here.run([...args, ...exporting]);
      expect(failed.stderr).toContain("now it breaks");
      expect(failed.code).toBe(1);

      const runs = async (counter: string) => (await readFile(join(cache, counter), "utf8")).split("\n").length - 1;
      expect(await runs(counters.before)).toBe(capture === "two-phase" ? 2 : 1);
      expect(await runs(counters.broken)).toBe(1);

      await using tree = await unpackedByOthers(archive);
      const atFailure = capture === "current-state";
      expect(await tree.exists(partialFile)).toBe(atFailure);
      expect(await tree.exists("/home/build/to-be-deleted")).toBe(!atFailure);
      const record = JSON.parse(await tree.text("/.melange2/record.json"));
      expect(record.failures[0].exit).toEqual({ code: 7, reason: "exit" });
      expect(record.capture).toMatchObject({ strategy: capture, exact: capture !== "two-phase" });
    },
  );
});

describe.for(daemons)("a debug image in $name", ({ variable }) => {
  it("starts in the failed step's folder with its environment, and reruns it", async (test) => {
    const { here, recipe, args } = await inPlace(test, "wolfi-keys");
    await using _ = here;
    await using daemon = docker(provided(test, variable));
    await writeFile(recipe, withFault(await readFile(recipe, "utf8"), "first"));
    const archive = join(here.directory, "debug.tar");
    const exporting = [
      "--cache-dir",
      "cache",
      "--export-on-failure",
      "--export-path",
      archive,
      "--capture",
      "last-good",
    ];
    expect((await here.run([...args, ...exporting, "--export-compression", "none"])).code).toBe(1);
    const image = await daemon.load(archive);
    const looked = await daemon.run(image, [
      "/bin/sh",
      "-c",
      "pwd; echo $HOME $SOURCE_DATE_EPOCH; cat to-be-deleted/file",
    ]);
    expect(looked).toMatchObject({ code: 0, stdout: "/home/build\n/home/build 0\nx\n" });
    const again = await daemon.run(image, ["/bin/sh", "-c", "mkdir -p /var/cache/melange; /.melange2/rerun"]);
    expect(again.stderr).toContain("now it breaks");
    expect(again.code).toBe(7);
    const labels = ((await daemon.inspect(image)).Config as { Labels: Record<string, string> }).Labels;
    expect(labels).toMatchObject({
      "melange2.exit-code": "7",
      "melange2.capture": "last-good",
      "melange2.exact": "true",
    });
  });
});
