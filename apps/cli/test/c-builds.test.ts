import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fullRun, provided, root } from "@melange2-tooling/services";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { docker } from "./judges.ts";
import { type Place, place } from "./melange2.ts";

// Real C software, from the upstream tarball to its packages, without a network. One place for all: the base is loaded once, and the steps
// before a fault come from the cache.
const hello = "hello-2.10.tar.gz";
const helloRecipe = (sha256: string) => `# Ours: GNU hello, with a subpackage for its documents.
package:
  name: hello
  version: 2.10
  epoch: 0
  description: GNU hello
environment:
  contents:
    packages: [build-base, wget]
pipeline:
  - uses: fetch
    with:
      uri: https://ftp.gnu.org/gnu/hello/${hello}
      expected-sha256: ${sha256}
  - uses: autoconf/configure
  - uses: autoconf/make
  - uses: autoconf/make-install
  - uses: strip
subpackages:
  - name: hello-doc
    pipeline:
      - uses: split/manpages
      - uses: split/infodir
`;
const helloSha256 = "31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b";

interface Software {
  readonly name: string;
  readonly text: string;
  /** A file that the build makes. */
  readonly program: string;
  readonly args: readonly string[];
}

let here: Place;

beforeAll(async () => {
  here = await place();
});

afterAll(async () => {
  await here[Symbol.asyncDispose]();
});

/** The recipe and its source folder in place. `always`: not in full runs only. */
async function prepared(test: TestContext, name: string, always: boolean): Promise<Software> {
  root(test);
  if (!always) fullRun(test);
  const base = provided(test, "MELANGE2_TEST_C_BUILD_TAR");
  await cp(provided(test, "MELANGE2_TEST_SOURCES"), join(here.directory, "cache"), { recursive: true });
  const args = ["--base", base, "--cache-dir", "cache", "--no-network"];
  if (name === "hello") {
    await mkdir(join(here.directory, "hello"), { recursive: true });
    return { name, text: helloRecipe(helloSha256), program: "hello/usr/bin/hello", args };
  }
  const corpus = provided(test, "MELANGE2_TEST_CORPUS_RECIPES");
  await cp(join(corpus, "recipes", "libev"), join(here.directory, "libev"), { recursive: true });
  return {
    name,
    text: await readFile(join(corpus, "recipes", "libev.yaml"), "utf8"),
    program: "libev/usr/lib/libev.so.4.0.0",
    args: [...args, "--pipeline-dir", join(corpus, "pipelines")],
  };
}

async function build(recipe: Software, text: string, more: readonly string[] = []) {
  await writeFile(join(here.directory, `${recipe.name}.yaml`), text);
  return here.run(["build", `${recipe.name}.yaml`, ...recipe.args, ...more]);
}

/** A step of ours before a `uses` of the recipe. */
function before(text: string, uses: string, runs: string): string {
  const line = new RegExp(`^( *)- uses: ${uses}$`, "m");
  if (!line.test(text)) throw new Error(`the recipe does not use ${uses}`);
  return text.replace(
    line,
    (whole, indent: string) => `${indent}- name: break it\n${indent}  runs: ${JSON.stringify(runs)}\n${whole}`,
  );
}

const breakConfigure = {
  where: "configure",
  uses: "autoconf/configure",
  runs: "rm /usr/include/stdio.h",
  says: /configure: error/,
};
const breakMake = (file: string) => ({
  where: "make",
  uses: "autoconf/make",
  runs: `sed -i '1i #error broken on purpose' ${file}`,
  says: /#error broken on purpose/,
});
const breakSubpackage = (uses: string) => ({
  where: "a subpackage",
  uses,
  runs: "exit 4",
  says: /exit status 4/,
});
const classic20 = "MELANGE2_TEST_DOCKER20";
const classic28 = "MELANGE2_TEST_DOCKER28";
const containerd28 = "MELANGE2_TEST_DOCKER28_CONTAINERD";

const faults = [
  { recipe: "libev", ...breakConfigure, daemon: classic20, capture: "current-state", always: false },
  { recipe: "libev", ...breakMake("ev.c"), daemon: classic28, capture: "last-good", always: true },
  { recipe: "libev", ...breakSubpackage("split/manpages"), daemon: containerd28, capture: "two-phase", always: false },
  { recipe: "hello", ...breakConfigure, daemon: containerd28, capture: "current-state", always: false },
  { recipe: "hello", ...breakMake("src/hello.c"), daemon: classic20, capture: "two-phase", always: false },
  { recipe: "hello", ...breakSubpackage("split/infodir"), daemon: classic28, capture: "last-good", always: false },
];

describe.each(["libev", "hello"])("%s", (name) => {
  it("is built whole", { timeout: 300_000 }, async (test) => {
    const recipe = await prepared(test, name, name === "libev");
    const built = await build(recipe, recipe.text);
    expect(built.stderr).toContain(`built ${name}-`);
    expect(built.code).toBe(0);
    const made = await readFile(join(here.directory, "packages", "x86_64", recipe.program));
    expect(made.subarray(0, 4).toString("latin1")).toBe("\u007fELF");
  });
});

describe.for(faults)(
  "$recipe failing in $where, captured as $capture",
  ({ recipe: name, uses, runs, says, where, daemon: variable, capture, always }) => {
    it("is loaded, entered, and fails there as it did in the build", { timeout: 300_000 }, async (test) => {
      const recipe = await prepared(test, name, always);
      await using daemon = docker(provided(test, variable));
      const archive = join(here.directory, `${name}.tar`);
      const exporting = [
        "--export-on-failure",
        "--export-path",
        archive,
        "--export-compression",
        "none",
        "--capture",
        capture,
      ];
      const failed = await build(recipe, before(recipe.text, uses, runs), exporting);
      expect(failed.code, failed.stderr.slice(-3000)).toBe(1);
      expect(failed.stderr).toMatch(says);

      const image = await daemon.load(archive);
      const looked = await daemon.run(image, ["/bin/sh", "-c", "pwd; ls /home/build"]);
      expect(looked.code).toBe(0);
      expect(looked.stdout).toContain("/home/build\n");
      expect(looked.stdout).toContain("configure");
      const again = await daemon.run(image, ["/.melange2/rerun"]);
      const record = JSON.parse((await daemon.run(image, ["cat", "/.melange2/record.json"])).stdout);
      expect(again.code, again.stderr).toBe(record.failures[0].exit.code);
      if (where !== "a subpackage") expect(again.stdout + again.stderr).toMatch(says);
    });
  },
);

describe("libev failing in make", () => {
  it("is mended inside the debug image and reruns to success", { timeout: 300_000 }, async (test) => {
    const recipe = await prepared(test, "libev", true);
    await using daemon = docker(provided(test, "MELANGE2_TEST_DOCKER20"));
    const archive = join(here.directory, "mend.tar");
    const exporting = ["--export-on-failure", "--export-path", archive, "--export-compression", "none"];
    const broken = before(recipe.text, "autoconf/make", "sed -i '1i #error broken on purpose' ev.c");
    expect((await build(recipe, broken, exporting)).code).toBe(1);
    const image = await daemon.load(archive);
    const mended = await daemon.run(image, [
      "/bin/sh",
      "-c",
      "sed -i 1d ev.c && /.melange2/rerun && ls .libs/libev.so.4.0.0",
    ]);
    expect(mended.code, mended.stderr).toBe(0);
    expect(mended.stdout).toContain(".libs/libev.so.4.0.0");
  });
});
