// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how recipes refer to variables.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { type Ended, type Place, place } from "./melange2.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 120_000 });

const recipe = `package: {name: demo, version: 1.10, epoch: 2}
vars: {word: file}
data: [{name: d, items: {b: two, a: one}}]
options: {loud: {vars: {tone: loud}, environment: {contents: {packages: {add: [trumpet], remove: [flute]}}}}}
environment: {contents: {packages: [flute]}}
pipeline:
  - uses: say
    with: {what: "\${{vars.word}} \${{options.loud.enabled}}"}
  - if: \${{build.arch}} == 'aarch64'
    runs: echo \${{host.triplet.gnu}} # only there
subpackages:
  - {range: d, name: "demo-\${{range.key}}", description: "\${{range.value}}"}
`;

let here: Place;
beforeAll(async () => {
  here = await place();
  const write = (name: string, text: string) => writeFile(join(here.directory, name), text);
  await mkdir(join(here.directory, "pipelines"));
  await write("pipelines/say.yaml", "inputs: {what: {}}\npipeline: [{runs: 'echo ${{inputs.what}}  >  said'}]\n");
  await write("r.yaml", recipe);
  await write("vars.yaml", "word: given\n");
  await write("list.yaml", "- word\n");
  await write("odd.yaml", "package: {name: odd, version: v1, epoch: 0}\n");
  await write("other.yaml", "package: {name: other, version: 1, epoch: 0, target-architecture: [s390x]}\n");
  await write("bad.yaml", "package: {name: bad, version: 1, epoch: 0}\npipeline: [{runs: '${{nope}}'}]\n");
});
afterAll(() => here[Symbol.asyncDispose]());

function printed({ code, stdout, stderr }: Ended): string {
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return stdout.toString();
}

const compile = (...more: readonly string[]) => ["compile", "r.yaml", "--pipeline-dir=pipelines", ...more];

describe("melange2 compile", () => {
  it("prints the recipe as it is built, as YAML and as JSON alike", async () => {
    const yaml = parse(printed(await here.run(compile("--arch=x86_64"))));
    expect(yaml).toMatchObject({
      package: { name: "demo", version: "1.10", epoch: 2 },
      environment: { contents: { packages: ["flute"] }, accounts: { users: [{ username: "build", uid: 1000 }] } },
      pipeline: [
        { uses: "say", with: { what: "file false" }, pipeline: [{ runs: "echo file false >said\n" }] },
        { if: `"x86_64" == 'aarch64'`, runs: "echo x86_64-pc-linux-gnu\n" },
      ],
      subpackages: [
        { name: "demo-a", description: "one" },
        { name: "demo-b", description: "two" },
      ],
    });
    expect((await here.json(compile("--arch=amd64"))).value).toEqual(yaml);
  });

  it("takes vars from a file, options, the architecture and the C library", async () => {
    const options = ["--vars-file=vars.yaml", "--build-option=loud", "--arch=aarch64", "--libc=musl"];
    expect((await here.json(compile(...options))).value).toMatchObject({
      environment: { contents: { packages: ["trumpet"] } },
      pipeline: [{ with: { what: "given true" } }, { runs: "echo aarch64-unknown-linux-musl\n" }],
      vars: { word: "given", tone: "loud" },
    });
    const asMelange = ["--override-host-triplet-libc-substitution-flavor=musl", "--arch=arm64"];
    expect((await here.json(compile(...asMelange))).value).toMatchObject({
      pipeline: [{}, { runs: "echo aarch64-unknown-linux-musl\n" }],
    });
  });

  it("prints what compiles to itself", async () => {
    const once = printed(await here.run(compile()));
    await writeFile(join(here.directory, "compiled.yaml"), once);
    const again = await here.run(["compile", "compiled.yaml"]);
    expect(again.stdout.toString()).toBe(once);
  });

  it("warns of what compiles and does not build, and of another architecture", async () => {
    const odd = await here.run(["compile", "odd.yaml"]);
    expect(odd).toMatchObject({ code: 0 });
    expect(odd.stderr).toMatch(/^melange2: warning: odd\.yaml:1:31: "v1" is no version .* does not build\n {2}hint: /);
    expect(parse(odd.stdout.toString())).toMatchObject({ package: { version: "v1" } });
    const other = await here.json(["compile", "other.yaml", "--arch=x86_64"]);
    expect(other).toMatchObject({ code: 0, value: { status: "skipped", reason: expect.stringContaining("s390x") } });
    expect(other.stderr).toMatch(/^melange2: warning: nothing to compile: /);
  });
});

describe("melange2 query", () => {
  it("prints fields as lines, and what is neither text nor list of texts as YAML", async () => {
    const fields = ["package.version", "subpackages.name", "subpackages[1].description", "options"];
    const [version, first, second, description, ...yaml] = printed(
      await here.run(["query", "r.yaml", ...fields]),
    ).split("\n");
    expect([version, first, second, description]).toEqual(["1.10", "demo-a", "demo-b", "two"]);
    expect(parse(yaml.join("\n"))).toMatchObject({ loud: { vars: { tone: "loud" } } });
  });

  it("prints one object with --json, in which vars of a file count", async () => {
    const { value } = await here.json(["query", "r.yaml", "vars.word", "test", "--vars-file=vars.yaml"]);
    expect(value).toEqual({ "vars.word": "given", test: null });
  });
});

it("melange2 package-version prints name, version and epoch", async () => {
  expect(printed(await here.run(["package-version", "r.yaml"]))).toBe("demo-1.10-r2\n");
  expect(printed(await here.run(["package-version", "odd.yaml"]))).toBe("odd-v1-r0\n");
  const { value } = await here.json(["package-version", "r.yaml"]);
  expect(value).toEqual({ name: "demo", version: "1.10", epoch: 2, fullVersion: "1.10-r2" });
});

it.each([
  ["compile", [], /recipe/],
  ["compile", ["none.yaml"], /none\.yaml cannot be read/],
  ["compile", ["bad.yaml"], /bad\.yaml:2:\d+: .*"nope" is not defined/],
  ["compile", ["r.yaml", "--arch=vax"], /no architecture "vax"/],
  ["compile", ["r.yaml", "--libc=uclibc"], /--libc/],
  ["compile", ["r.yaml", "--pipeline-dir=none"], /--pipeline-dir none is not a folder/],
  ["compile", ["r.yaml"], /there is no pipeline "say"/],
  ["compile", ["r.yaml", "--vars-file=none"], /the file of vars none cannot be read/],
  ["compile", ["r.yaml", "--vars-file=list.yaml"], /list\.yaml:1:1: a map is needed/],
  ["query", ["r.yaml"], /field/],
  ["query", ["r.yaml", "package.nam"], /there is no "nam" here/],
  ["query", ["r.yaml", "package.name", "--nope"], /--nope/],
  ["query", ["r.yaml", "{{ .Package.Name }}"], /names no field/],
  ["package-version", [], /recipe/],
  ["package-version", ["list.yaml"], /list\.yaml:1:1: a map \(a recipe\) is needed/],
])("melange2 %s %j is refused", async (command, args, says) => {
  const { code, stdout, stderr } = await here.run([command, ...args]);
  expect(stderr).toMatch(says);
  expect(code, stderr).toBe(2);
  expect(stderr).toMatch(/^melange2: error: /);
  expect(stderr).toMatch(/\n {2}hint: .{10}/);
  expect(stderr).not.toMatch(/^ {4}at /m);
  expect(stdout.toString()).toBe("");
});

it("a build takes the same flags, and refuses the version that compiles", async () => {
  const { tar } = await busyboxRoot();
  const words = [
    "--base",
    tar,
    "--pipeline-dir=pipelines",
    "--vars-file=vars.yaml",
    "--build-option=loud",
    "--libc=musl",
  ];
  const built = await here.run(["build", "r.yaml", ...words, "--progress=plain"]);
  expect(built.code, built.stderr).toBe(0);
  const refused = await here.run(["build", "odd.yaml", "--base", tar]);
  expect(refused.stderr).toMatch(/odd\.yaml:1:31: "v1" is no version that apk can compare/);
  expect(refused.code).toBe(2);
});
