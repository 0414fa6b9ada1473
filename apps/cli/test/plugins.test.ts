import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openImage, readFileBytes } from "@melange2/oci";
import { readImageArchive } from "@melange2/testkit";
import { repositoryRoot, run } from "@melange2-tooling/machine";
import { linkThirdParty, type Pack, packAll, publicPackages } from "@melange2-tooling/publish";
import { fullRun, provided, root } from "@melange2-tooling/services";
import { describe, expect, it } from "vitest";
import { type Place, place } from "./melange2.ts";

const recipe = `package:
  name: hello
  version: 1.0
  epoch: 0
  description: breaks
pipeline:
  - name: make
    runs: |
      echo half > made
      exit 3
`;

/** A place whose plugins are its own, with a recipe that breaks. */
async function placeWithPlugins() {
  const here = await place();
  const env = { MELANGE2_DATA_DIR: join(here.directory, "data") };
  await writeFile(join(here.directory, "hello.yaml"), recipe);
  return {
    ...here,
    [Symbol.asyncDispose]: () => here[Symbol.asyncDispose](),
    run: (args: readonly string[], more: NodeJS.ProcessEnv = {}) => here.run(args, { env: { ...env, ...more } }),
    json: (args: readonly string[]) => here.json(args, { env }),
  };
}

/** A plugin's folder with this package.json and these files, linked as a developer does it. */
async function linked(
  here: Awaited<ReturnType<typeof placeWithPlugins>>,
  name: string,
  melange2: unknown,
  files: Readonly<Record<string, string>> = {},
): Promise<string> {
  const folder = join(here.directory, name);
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, "package.json"),
    JSON.stringify({ name, version: "1.2.3", type: "module", oclif: {}, melange2 }),
  );
  for (const [path, text] of Object.entries(files)) await writeFile(join(folder, path), text);
  const ended = await here.run(["plugins", "link", folder]);
  expect(ended.code, ended.stderr).toBe(0);
  return folder;
}

const builtInExporters = ["docker", "registry", "tarball"];
type Listed = { readonly name: string; readonly package: string; readonly origin: string; readonly root: string };
type Broken = { readonly package: string; readonly names: readonly string[]; readonly reason: string };

describe("what is there", () => {
  it("exporters and captures, from which package, built in or brought", async () => {
    await using here = await placeWithPlugins();
    const module = `export default { name: "null", contract: 1, summary: "Nowhere", options: {}, prepare: async () => {} };`;
    const folder = await linked(
      here,
      "exporter-null",
      { contract: 1, exporters: { null: "./null.js" } },
      { "null.js": module },
    );
    const { value } = await here.json(["exporters"]);
    const { exporters, broken } = value as { exporters: Listed[]; broken: Broken[] };
    expect(broken).toEqual([]);
    expect(exporters.map(({ name }) => name)).toEqual(["docker", "null", "registry", "tarball"]);
    expect(exporters[1]).toEqual({
      name: "null",
      summary: "Nowhere",
      package: "exporter-null",
      version: "1.2.3",
      origin: "linked",
      root: folder,
    });
    expect(exporters[0]).toMatchObject({ package: "@melange2/exporter-docker", origin: "built-in" });

    const { value: captures } = await here.json(["captures"]);
    const names = (captures as { captures: Listed[] }).captures.map(({ name }) => name);
    expect(names).toEqual(["current-state", "last-good", "two-phase"]);
    const text = (await here.run(["captures"])).stdout.toString();
    expect(text).toContain("@melange2/capture-two-phase");
  });

  it("an exporter's options, as its schema declares them", async () => {
    await using here = await placeWithPlugins();
    const { value } = await here.json(["exporters", "show", "tarball"]);
    expect((value as { options: unknown[] }).options).toContainEqual({
      name: "compression",
      flag: "--export-compression",
      env: "MELANGE2_EXPORT_COMPRESSION",
      type: "enum",
      values: ["none", "gzip", "zstd"],
      required: false,
      default: "gzip",
      description: expect.any(String),
    });
    const shown = await here.run(["exporters", "show", "registry"]);
    expect(shown.stdout.toString()).toMatch(
      /--export-ref=VALUE {2}\[env: MELANGE2_EXPORT_REF\]\n.*\n *string, required\n/,
    );
    const unknown = await here.run(["exporters", "show", "nope"]);
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('there is no exporter "nope"') });
  });
});

/** The module of an exporter with this code as its `prepare`. */
const preparing = (name: string, code: string) => ({
  "index.js": `export default { name: "${name}", contract: 1, summary: "s", options: {}, prepare: async () => { ${code} } };`,
});

describe("broken plugins", () => {
  const throwing = { "index.js": 'throw new Error("native module missing");' };
  const working = (name: string) => preparing(name, "");

  it("are listed with the reason, and what they would have brought", async () => {
    await using here = await placeWithPlugins();
    await linked(here, "bad-manifest", { contract: 2, exporters: { b: "./index.js" } });
    await linked(here, "bad-module", { contract: 1, exporters: { m: "./index.js" } }, throwing);
    await linked(here, "bad-name", { contract: 1, exporters: { n: "./index.js" } }, working("other"));
    await linked(here, "greedy", { contract: 1, exporters: { tarball: "./index.js" } }, working("tarball"));
    await linked(here, "twin-a", { contract: 1, exporters: { twin: "./index.js" } }, working("twin"));
    await linked(here, "twin-b", { contract: 1, exporters: { twin: "./index.js" } }, working("twin"));
    await rm(await linked(here, "gone", { contract: 1, exporters: { g: "./index.js" } }), { recursive: true });
    await writeFile(join(await linked(here, "unreadable", {}), "package.json"), "{");

    const { value, stderr } = await here.json(["exporters"]);
    expect(stderr).toBe("");
    const { exporters, broken } = value as { exporters: Listed[]; broken: Broken[] };
    expect(exporters.map(({ name, origin }) => [name, origin])).toEqual(
      builtInExporters.map((name) => [name, "built-in"]),
    );
    const reasons = Object.fromEntries(broken.map((one) => [one.package, one]));
    expect(Object.keys(reasons).sort()).toEqual([
      "bad-manifest",
      "bad-module",
      "bad-name",
      "gone",
      "greedy",
      "twin-a",
      "twin-b",
      "unreadable",
    ]);
    expect(reasons["bad-manifest"]).toMatchObject({ names: ["b"], reason: expect.stringContaining("understands 1") });
    expect(reasons["bad-module"]).toMatchObject({
      names: ["m"],
      reason: expect.stringContaining("native module missing"),
    });
    expect(reasons["bad-name"]?.reason).toContain('it calls itself "other"');
    expect(reasons.greedy?.reason).toContain("@melange2/exporter-tarball");
    expect(reasons["twin-a"]?.reason).toContain("twin-b");
    expect(reasons["twin-b"]?.reason).toContain("twin-a");
    expect(reasons.gone).toMatchObject({ names: [], reason: "its folder is gone" });
    expect(reasons.unreadable?.reason).toContain("package.json cannot be read");
    expect((await here.run(["exporters"])).stdout.toString()).toContain("cannot be used:\n");
  });

  it("never stop a build that does not use them, which says so, and stop one that does", async (test) => {
    root(test);
    const base = provided(test, "MELANGE2_TEST_BUSYBOX_TAR");
    await using here = await placeWithPlugins();
    await linked(here, "bad-manifest", { contract: 2, exporters: { b: "./index.js" } });
    await linked(here, "bad-module", { contract: 1, exporters: { m: "./index.js" } }, throwing);
    await rm(await linked(here, "gone", { contract: 1 }), { recursive: true });
    const build = ["build", "hello.yaml", "--base", base, "--export-on-failure"];
    const unused = await here.run([...build, "--export-path=debug.tar"]);
    expect(unused.code).toBe(1);
    expect(unused.stderr).toContain("the plugin bad-manifest cannot be used");
    expect(unused.stderr).toContain("the plugin gone cannot be used: its folder is gone");
    expect(unused.stderr).not.toContain("bad-module");
    expect(unused.stderr).toMatch(/exported to .*debug\.tar/);
    for (const [type, reason] of [
      ["m", "native module missing"],
      ["b", "understands 1"],
      ["g", 'there is no exporter "g"'],
    ] as const) {
      const used = await here.run([...build, `--export-type=${type}`]);
      expect([used.code, used.stderr]).toEqual([2, expect.stringContaining(reason)]);
      expect(used.stderr).not.toContain("step 1");
    }
  });

  it("that break while they are used are named, and are no fault of melange2", async (test) => {
    root(test);
    const base = provided(test, "MELANGE2_TEST_BUSYBOX_TAR");
    await using here = await placeWithPlugins();
    await linked(here, "early", { contract: 1, exporters: { early: "./index.js" } }, preparing("early", "null.x"));
    const throwing = 'return { destination: "nowhere", export: () => null.x }';
    await linked(here, "late", { contract: 1, exporters: { late: "./index.js" } }, preparing("late", throwing));
    const build = ["build", "hello.yaml", "--base", base, "--export-on-failure"];
    const early = await here.run([...build, "--export-type=early"]);
    expect([early.code, early.stderr]).toEqual([2, expect.stringContaining('exporter "early" of early 1.2.3 broke: ')]);
    const late = await here.run([...build, "--export-type=late"]);
    expect([late.code, late.stderr]).toEqual([1, expect.stringContaining("the export broke: ")]);
    const later = await here.run(["debug", "export", "--export-type=late"]);
    expect([later.code, later.stderr]).toEqual([4, expect.stringContaining("melange2: error: the export broke: ")]);
  });
});

it("plugins are installed without running their scripts, from a path relative to the user", async () => {
  await using here = await placeWithPlugins();
  const folder = join(here.directory, "plugin");
  await mkdir(folder);
  const ran = join(here.directory, "ran");
  const scripts = Object.fromEntries(
    ["preinstall", "install", "postinstall", "prepare"].map((name) => [name, `echo ${name} >> ${ran}`]),
  );
  const manifest = { name: "with-scripts", version: "1.0.0", oclif: {}, melange2: { contract: 1 }, scripts };
  await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
  await run(["npm", "pack", "--ignore-scripts", "--pack-destination", here.directory], { cwd: folder });
  for (const named of ["file:with-scripts-1.0.0.tgz", "./with-scripts-1.0.0.tgz"]) {
    const installed = await here.run(["plugins", "install", named]);
    expect(installed.code, installed.stderr).toBe(0);
    expect(existsSync(join(here.directory, "data/node_modules/with-scripts/package.json"))).toBe(true);
    expect(existsSync(ran)).toBe(false);
    expect((await here.run(["plugins", "uninstall", "with-scripts"])).code).toBe(0);
    expect(existsSync(join(here.directory, "data/node_modules/with-scripts"))).toBe(false);
  }
});

describe("the exporters outside the default set", () => {
  const linkOurs = async (here: Awaited<ReturnType<typeof placeWithPlugins>>, name: string) => {
    const ended = await here.run(["plugins", "link", join(repositoryRoot, "packages", name), "--no-install"]);
    expect(ended.code, ended.stderr).toBe(0);
  };

  it("oci-dir: a layout folder", async (test) => {
    root(test);
    const base = provided(test, "MELANGE2_TEST_BUSYBOX_TAR");
    await using here = await placeWithPlugins();
    await linkOurs(here, "exporter-oci-dir");
    const flags = ["--export-on-failure", "--export-type=oci-dir", "--export-path=debug"];
    const failed = await here.run(["build", "hello.yaml", "--base", base, ...flags]);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain(`exported to ${join(here.directory, "debug")}`);
    expect((await openImage(join(here.directory, "debug"))).file.config.WorkingDir).toBe("/home/build");
    const refused = await here.run(["build", "hello.yaml", "--base", base, ...flags.slice(0, 2), "--export-path=."]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("not an OCI layout") });
  });

  it("command: options of a plugin by flag and by variable; a failure says how to try again", async (test) => {
    root(test);
    const base = provided(test, "MELANGE2_TEST_BUSYBOX_TAR");
    await using here = await placeWithPlugins();
    await linkOurs(here, "exporter-command");
    const build = ["build", "hello.yaml", "--base", base, "--export-on-failure", "--export-type=command"];

    const missing = await here.run(build);
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining("--export-opt command is missing") });
    const unknown = await here.run([...build, "--export-opt", "command=cat", "--export-opt", "bucket=x"]);
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('has no option "bucket"') });

    const command =
      'cat > part && test -z "$REFUSE" && mv part "$MELANGE2_PACKAGE.tar" || { echo no room >&2; exit 9; }';
    const refused = await here.run([...build, "--export-opt", `command=${command}`], { REFUSE: "1" });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("the command failed with exit status 9");
    expect(refused.stderr).toContain("no room");
    const again = /try again: .*? (debug export .*)/.exec(refused.stderr)?.[1] ?? "";
    expect(again).toContain("--export-type=command");
    expect(again).toMatch(/--export-opt command=$/);
    const words = again.split(" ");
    const incomplete = await here.run(words);
    expect(incomplete).toMatchObject({ code: 2, stderr: expect.stringContaining("its value is missing") });
    const complete = await here.run([...words.slice(0, -1), `command=${command}`]);
    expect(complete.code, complete.stderr).toBe(0);
    const archive = await readImageArchive(readFileBytes(join(here.directory, "hello.tar")));
    expect(archive.config.WorkingDir).toBe("/home/build");

    const byVariable = await here.run(build, {
      MELANGE2_EXPORT_COMMAND: "cat > by-variable.tar",
      MELANGE2_EXPORT_PATH: "unused",
    });
    expect([byVariable.code, byVariable.stderr]).toEqual([1, expect.stringContaining("exported to the command cat")]);
    expect(existsSync(join(here.directory, "by-variable.tar"))).toBe(true);
  });
});

describe("plugins create", () => {
  it("refuses names and folders that are not free", async () => {
    await using here = await placeWithPlugins();
    for (const [name, reason] of [
      ["docker", "there is an exporter"],
      ["S3", "no name for an exporter"],
      ["../s3", "no name for an exporter"],
    ] as const) {
      expect(await here.run(["plugins", "create", name])).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(reason),
      });
    }
    await mkdir(join(here.directory, "melange2-exporter-s3"));
    expect((await here.run(["plugins", "create", "s3"])).code).toBe(0);
    const second = await here.run(["plugins", "create", "s3"]);
    expect(second).toMatchObject({ code: 2, stderr: expect.stringContaining("not empty") });
  });

  it("writes an exporter that passes its own test, packs, installs and works, with melange2 as it is published", {
    timeout: 180_000,
  }, async (test) => {
    root(test);
    const base = provided(test, "MELANGE2_TEST_BUSYBOX_TAR");
    await using here = await placeWithPlugins();
    const published = join(here.directory, "published");
    const packs = await packAll(publicPackages(), published);
    for (const pack of packs) await linkThirdParty(pack);
    await expectNewExporter(here, join(published, "node_modules/melange2/bin/run.js"), base, async (folder) => {
      await mkdir(join(folder, "node_modules"));
      await symlink(join(published, "node_modules/@melange2"), join(folder, "node_modules/@melange2"));
    });
  });

  it("the same with everything installed by npm in an empty folder", { timeout: 600_000 }, async (test) => {
    fullRun(test);
    root(test);
    const base = provided(test, "MELANGE2_TEST_BUSYBOX_TAR");
    await using here = await placeWithPlugins();
    const packs = await packAll(publicPackages(), join(here.directory, "published"));
    const empty = join(here.directory, "empty");
    await mkdir(empty);
    await writeFile(join(empty, "package.json"), JSON.stringify({ private: true, dependencies: fromPacks(packs) }));
    await run(["npm", "install", "--no-audit", "--no-fund"], { cwd: empty });
    await expectNewExporter(here, join(empty, "node_modules/melange2/bin/run.js"), base, async (folder) => {
      const manifest = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
      const wanted = fromPacks(packs.filter(({ package: { manifest } }) => /core|oci$|testkit/.test(manifest.name)));
      manifest.devDependencies = { ...manifest.devDependencies, ...wanted };
      await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
      await run(["npm", "install", "--no-audit", "--no-fund"], { cwd: folder });
      // The tests' own build leaves declarations out.
      const core = packs.find(({ package: { manifest } }) => manifest.name === "@melange2/core");
      if (core && existsSync(join(core.unpacked, "dist/index.d.ts")))
        await run(["npm", "run", "types"], { cwd: folder });
    });
  });
});

const fromPacks = (packs: readonly Pack[]) =>
  Object.fromEntries(packs.map(({ package: { manifest }, tarball }) => [manifest.name, `file:${tarball}`]));

/** create, test, pack, install and use an exporter by this very program, in a folder that knows nothing of the workspace. */
async function expectNewExporter(
  here: Pick<Place, "directory" | "env">,
  program: string,
  base: string,
  install: (folder: string) => Promise<void>,
): Promise<void> {
  const env = { ...here.env, MELANGE2_DATA_DIR: join(here.directory, "data"), NODE_OPTIONS: "" } as Record<
    string,
    string
  >;
  const melange2 = (...args: string[]) => run([process.execPath, program, ...args], { cwd: here.directory, env });
  await melange2("plugins", "create", "team-storage");
  const folder = join(here.directory, "melange2-exporter-team-storage");
  expect((await readdir(folder)).sort()).toEqual(["README.md", "package.json", "src", "test", "tsconfig.json"]);
  for (const file of ["README.md", "src/index.js", "test/exporter.test.js"]) {
    expect(await readFile(join(folder, file), "utf8")).not.toMatch(/\bshelf\b/);
  }
  await install(folder);
  const tested = await run(["npm", "test"], { cwd: folder, env });
  expect(tested).toMatch(/^. fail 0$/m);
  expect(tested).toMatch(/^. pass 1\d$/m);

  await run(["npm", "pack", "--pack-destination", here.directory], { cwd: folder, env });
  await melange2("plugins", "install", "file:melange2-exporter-team-storage-0.1.0.tgz");
  const { exporters } = JSON.parse(await melange2("exporters", "--json")) as { exporters: Listed[] };
  expect(exporters.map(({ name, origin }) => [name, origin])).toEqual([
    ["docker", "built-in"],
    ["registry", "built-in"],
    ["tarball", "built-in"],
    ["team-storage", "installed"],
  ]);

  const debug = join(here.directory, "debug");
  await mkdir(debug);
  const flags = [
    "--base",
    base,
    "--export-on-failure",
    "--export-type=team-storage",
    "--export-opt",
    `folder=${debug}`,
  ];
  await expect(melange2("build", "hello.yaml", ...flags)).rejects.toThrow(/exported to .*\.tar/);
  const [archive = ""] = await readdir(debug);
  expect((await readImageArchive(readFileBytes(join(debug, archive)))).config.WorkingDir).toBe("/home/build");
}
