import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { arch, type Ended, type Place, place } from "./melange2.ts";
import { ownRecipe } from "./own-recipe.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 120_000 });

let here: Place;
let base: string;
beforeAll(async () => {
  here = await place();
  base = (await busyboxRoot()).tar;
  await writeFile(join(here.directory, "r.yaml"), ownRecipe("never-runs", ["echo it runs >&2"]));
  await writeFile(join(here.directory, "file"), "");
  await mkdir(join(here.directory, "folder"));
  await mkdir(join(here.directory, "outputs"));
  await writeFile(join(here.directory, "outputs", arch), "");
  await here.shell("mkfifo pipe; ln -s loop loop");
});
afterAll(() => here[Symbol.asyncDispose]());

/** Said in words, on standard error, before anything ran; no stack. */
function expectRefusal(ended: Ended, code: number, says: RegExp): void {
  expect(ended.stderr).toMatch(says);
  expect(ended.code, ended.stderr).toBe(code);
  // Only work that takes long is told before it.
  const said = ended.stderr.replaceAll(/^=> (?!step).*\n/gm, "");
  expect(said).toMatch(/^melange2: error: .*\n(?: {2}.*\n)*$/);
  expect(ended.stderr).toMatch(/\n {2}hint: .{10}/);
  expect(ended.stderr).not.toMatch(/^ {4}at /m);
  expect(ended.stdout.toString()).toBe("");
}

const build = (...more: readonly string[]) => ["build", "r.yaml", "--base", base, ...more];
const exporting = (...more: readonly string[]) => build("--export-on-failure", ...more);

describe("refused with 2 before the first step", () => {
  const cases: readonly (readonly [what: string, args: () => readonly string[], says: RegExp])[] = [
    ["no recipe", () => ["build"], /recipe/],
    ["a recipe that is not there", () => ["build", "nix.yaml", "--base", base], /nix\.yaml cannot be read/],
    ["a folder as recipe", () => ["build", "folder", "--base", base], /folder cannot be read/],
    ["an unknown flag", () => build("--exprot-path=x"), /--exprot-path=x/],
    ["two recipes", () => build("r.yaml"), /Unexpected argument: r\.yaml/],
    ["no base", () => ["build", "r.yaml"], /--base is missing/],
    ["a base that is not there", () => ["build", "r.yaml", "--base", "nix"], /there is no nix/],
    ["a base that is none", () => ["build", "r.yaml", "--base", "file"], /file/],
    ["a source folder that is not there", () => build("--source-dir=nix"), /nix: ENOENT/],
    ["a pipeline folder that is a file", () => build("--pipeline-dir=file"), /--pipeline-dir file is not a folder/],
    ["a cache folder that is a file", () => build("--cache-dir=file"), /the cache directory .*file is not a folder/],
    ["a cache mount without a name", () => build("--cache-mount=/var/c"), /--cache-mount \/var\/c: .*NAME:PATH/],
    ["a cache mount over all", () => build("--cache-mount=c:/"), /c:\/: \/ cannot be a cache/],
    ["a cache mount below /dev", () => build("--cache-mount=c:/dev/c"), /\/dev\/c cannot be a cache/],
    ["a cache mount that leads out", () => build("--cache-mount=c:/a/../../b"), /cannot be a cache/],
    ["two caches in one place", () => build("--cache-mount=c:/a", "--cache-mount=d:/a/"), /d:\/a: \/a has a cache/],
    [
      "a cache mount in the cache folder's place",
      () => build("--cache-dir=folder", "--cache-mount=c:/var/cache/melange"),
      /is where --cache-dir is seen/,
    ],
    [
      "an export of what is not captured",
      () => exporting("--no-capture"),
      /--no-capture.*--export-on-failure|--export-on-failure.*--no-capture/,
    ],
    ["an output folder below a file", () => build("--out-dir=file/x"), /the output folder .*file is not a folder/],
    ["an output folder with a file in its place", () => build("--out-dir=outputs"), /outputs\/\w+ is not a folder/],
    ["an output folder of too long a name", () => build(`--out-dir=${"x".repeat(300)}/y`), /output folder .*too long/],
    [
      "a cache folder behind a circle",
      () => build("--cache-dir=loop/x"),
      /the cache directory .*loop\/x .*in a circle/,
    ],
    ["a timeout of nothing", () => build("--step-timeout=0"), /--step-timeout: .*1/],
    ["a timeout beyond what is measured", () => build("--step-timeout=2147484"), /--step-timeout: .*2147483/],
    ["a progress that is none", () => build("--progress=loud"), /--progress=loud .*plain/],
    ["a secret that is not set", () => build("--secret-env=NIX_TOKEN"), /NIX_TOKEN: the variable is not set/],
    ["a secret without a name", () => build("--secret-env=A=b"), /A=b: not a variable's name/],
    ["an archive in a missing folder", () => exporting("--export-path=nix/a.tar"), /nix does not exist/],
    ["an archive below a file", () => exporting("--export-path=file/a.tar"), /file is not a folder/],
    ["a folder as archive", () => exporting("--export-path=folder"), /folder is a directory/],
    ["a pipe as archive", () => exporting("--export-path=pipe"), /not a plain file/],
    ["an unknown placeholder", () => exporting("--export-path={pkg}.tar"), /\{pkg\} is not known/],
    ["a name that no image can have", () => exporting("--export-ref=UP:case:x"), /UP:case:x/],
    ["an unknown exporter", () => exporting("--export-type=fax"), /"fax"/],
    ["an unknown capture", () => exporting("--capture=first-good"), /"first-good"/],
    ["an unknown compression", () => exporting("--export-compression=rar"), /"rar" is none of none, gzip, zstd/],
    [
      "a destination of no export",
      () => build("--export-type=fax", "--export-opt=a=b", "--export-opt=c=d"),
      /nothing is exported without --export-on-failure: --export-type, --export-opt\n/,
    ],
    ["a capture for no export", () => build("--capture=nonsense"), /without --export-on-failure: --capture\n/],
    [
      "two paths",
      () => exporting("--export-path=a.tar", "--export-opt=path=b.tar"),
      /--export-opt path: "path" has a value already, by --export-path/,
    ],
    ["an unknown option", () => exporting("--export-opt=a=b"), /no option "a"/],
    ["a build that is not kept", () => ["debug", "show", "2026"], /no failed build is kept/],
    ["a prune of nothing", () => ["debug", "prune"], /which build/],
  ];
  it.concurrent.for(cases)("%s", async ([, args, says]) => {
    expectRefusal(await here.run(args()), 2, says);
  });

  it.concurrent("an archive and a JSON document both on standard output", async () => {
    const { code, value } = await here.json(exporting("--export-path=-"));
    expect(code).toBe(2);
    expect(value).toMatchObject({ error: { code: "usage", message: expect.stringContaining("--export-path=-") } });
  });

  it.concurrent("a state folder that cannot be one", async () => {
    const refused = await here.run(build(), { env: { MELANGE2_STATE_DIR: join(here.directory, "file") } });
    expectRefusal(refused, 2, /state folder .*file is not a folder/);
  });

  it.concurrent("an exporter that a variable names", async () => {
    const env = { MELANGE2_EXPORT_ON_FAILURE: "1", MELANGE2_EXPORT_TYPE: "fax" };
    expectRefusal(await here.run(build(), { env }), 2, /"fax"/);
  });
});

describe("a recipe that is wrong", () => {
  const refused = async (name: string, text: string) => {
    await writeFile(join(here.directory, name), text);
    return here.run(["build", name, "--base", base]);
  };

  it.concurrent("is told with all places at once", async () => {
    const ended = await refused(
      "keys.yaml",
      "package:\n  name: keys\n  version: 1\n  epoch: x\n  descripton: t\npipeline:\n  - runs: [a]\n  - bogus: 1\n",
    );
    expectRefusal(ended, 2, /^melange2: error: keys\.yaml:4:10: keys\.yaml has 4 problems/);
    const places = [...ended.stderr.matchAll(/^ {2}(keys\.yaml:\d+:\d+): (.*)$/gm)].map(([, at, what]) => [at, what]);
    expect(places).toEqual([
      ["keys.yaml:4:10", expect.stringContaining('"x"')],
      ["keys.yaml:5:3", expect.stringContaining('"descripton"')],
      ["keys.yaml:7:11", expect.anything()],
      ["keys.yaml:8:5", expect.stringContaining('"bogus"')],
    ]);
    expect(ended.stderr).toContain('Did you mean "description"?');
  });

  it.concurrent("is told with all it uses that is not there", async () => {
    const ended = await refused("uses.yaml", ownRecipe("uses", [`echo $\{{vars.nix}}`], "  - uses: no/such\n"));
    expectRefusal(ended, 2, /^melange2: error: uses\.yaml:/);
    expect(ended.stderr).toMatch(/^ {2}uses\.yaml:8:\d+: .*vars\.nix/m);
    expect(ended.stderr).toMatch(/^ {2}uses\.yaml:9:\d+: .*no\/such/m);
  });

  it.concurrent("is told once where it is no YAML", async () => {
    const ended = await refused("yaml.yaml", "package: [\n");
    expectRefusal(ended, 2, /^melange2: error: yaml\.yaml:2:1: not valid YAML/);
    expect(ended.stderr.match(/not valid YAML/g)).toHaveLength(1);
  });
});

describe("a host that the engine cannot run on", () => {
  /** Node told a platform that it is not on: what is decided by the platform's name goes the way it would there. */
  const pretending = (platform: string) => ({
    NODE_OPTIONS: `--import=data:text/javascript,Object.defineProperty(process,'platform',{value:'${platform}'})`,
  });

  it.concurrent.for([
    ["darwin", "macOS"],
    ["win32", "Windows"],
  ] as const)("%s ends with 3 and the way to an engine that can", async ([platform, name]) => {
    const ended = await here.run(build(), { env: pretending(platform) });
    expectRefusal(ended, 3, new RegExp(`needs Linux, this is ${name}`));
    expect(ended.stderr).toContain("BuildKit");
  });

  it.concurrent("is told in JSON with --json", async () => {
    const { code, value } = await here.json(build(), { env: pretending("darwin") });
    expect(code).toBe(3);
    expect(value).toMatchObject({ error: { code: "engine", hint: expect.stringContaining("BuildKit") } });
  });
});
