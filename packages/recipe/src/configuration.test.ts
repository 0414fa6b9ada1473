import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { oracles } from "../test/corpus-folder.ts";
import { compileRecipe } from "./compile-recipe.ts";
import { compiledConfiguration } from "./configuration.ts";
import { parseRecipe } from "./parse-recipe.ts";
import { pipelineDirectories } from "./pipeline-directories.ts";
import type { Written } from "./written.ts";

async function configurationOf(
  text: string,
  options: { readonly buildOptions?: readonly string[] } = {},
): Promise<{ readonly [key: string]: Written }> {
  const parsed = await parseRecipe({ file: "recipe.yaml", text });
  const compiled = await compileRecipe(parsed, { arch: "x86_64", pipelines: pipelineDirectories([]), ...options });
  if (compiled.kind === "skipped") throw new Error(compiled.reason);
  return compiledConfiguration(compiled);
}

interface Listing {
  readonly apks: readonly {
    readonly members: readonly {
      readonly tar: { readonly entries: readonly { readonly name: string; readonly content?: string }[] };
    }[];
  }[];
}

const folder = oracles && join(oracles, "built");
const cases = folder ? readdirSync(folder) : [];

function read(name: string, file: string): string {
  return readFileSync(join(folder ?? "", name, file), "utf8");
}

/** The `.melange.yaml` that the real melange packed. */
function packed(name: string): string | undefined {
  const { apks }: Listing = JSON.parse(read(name, "listing.json"));
  const entries = apks.flatMap(({ members }) => members.flatMap(({ tar }) => tar.entries));
  return entries.find((entry) => entry.name === ".melange.yaml")?.content?.replaceAll("<TMP>", "/tmp");
}

/** A configuration without what flags, git, the index of packages and our own text of built-in pipelines make of it. */
function comparable(configuration: unknown): unknown {
  return JSON.parse(JSON.stringify(configuration), function (this: unknown, key: string, value: unknown) {
    if (key === "commit" || key === "build_repositories" || key === "keyring" || key === "archs") return undefined;
    if (key === "packages" && Array.isArray(value)) return value.map((each) => String(each).replace(/=.*/, "")).sort();
    if (isRecord(value) && value.uses !== undefined && value.pipeline !== undefined)
      return { ...value, pipeline: "the content of the used pipeline", needs: undefined };
    return value;
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

describe("a compiled recipe is written as melange writes .melange.yaml", () => {
  const packedCases = cases.filter((name) => packed(name) !== undefined);

  test("there are recorded ones", ({ skip }) => {
    skip(!folder, "there is no ../shared/corpus");
    expect(packedCases.length).toBeGreaterThan(25);
  });

  test.each(packedCases)("%s", async (name) => {
    const { args }: { readonly args: readonly string[] } = JSON.parse(read(name, "case.json"));
    const buildOptions = args.flatMap((word, index) => (args[index - 1] === "--build-option" ? [word] : []));
    const ours = await configurationOf(read(name, "recipe.yaml"), { buildOptions });
    const theirs = parseYaml(packed(name) ?? "");
    // All packages that the environment's own need are in theirs.
    const { packages } = (ours.environment as { contents: { packages: readonly string[] } }).contents;
    expect(theirs.environment.contents.packages.map((each: string) => each.replace(/=.*/, ""))).toEqual(
      expect.arrayContaining(packages.map((each) => each.replace(/[=<>~@].*/, ""))),
    );
    theirs.environment.contents.packages = packages;
    expect(comparable(ours)).toEqual(comparable(theirs));
  });
});

describe("a compiled recipe that is compiled again", () => {
  test("stays as it is", async () => {
    const once = await configurationOf(`package: {name: demo, version: 1.10, epoch: 2, timeout: 90m}
environment: {contents: {packages: [a]}, environment: {B: x, A: "\${{package.version}}"}}
vars: {a: "\${{vars.b}}", b: y}
data: [{name: d, items: {k: v}}]
pipeline:
  - uses: fetch
    if: \${{build.arch}} == 'x86_64'
    with: {uri: "https://example.test/\${{vars.a}}", expected-none: "1"}
  - {runs: "echo \${{ vars.a }} # why", working-directory: w, environment: {E: ""}, pipeline: [{runs: x, label: l}]}
  - {if: "'a' == 'b'", runs: never, needs: {packages: [n]}}
  - {assertions: {required-steps: 0}}
subpackages:
  - {range: d, name: "demo-\${{range.key}}", description: "\${{range.value}}", test: {pipeline: [{runs: t}]}}
  - {name: demo-off, if: "'a' == 'b'"}
update: {enabled: true, github: {identifier: a/b, tag-filter-prefix: "\${{vars.a}}"}}
test: {environment: {contents: {packages: [z]}}, pipeline: [{runs: t}]}
`);
    const again = await configurationOf(JSON.stringify(once));
    const packages = (each: typeof once) => (each.environment as { contents: { packages: unknown } }).contents.packages;
    // As in melange, the needs of an inner step stay with it, and are asked for again.
    expect(new Set(packages(again) as string[])).toEqual(new Set(packages(once) as string[]));
    expect({ ...again, environment: undefined }).toEqual({ ...once, environment: undefined });
    expect(once).toMatchObject({
      package: { timeout: "1h30m0s", resources: {} },
      environment: { environment: { A: "1.10", B: "x", HOME: "/home/build" } },
      pipeline: [
        { if: `"x86_64" == 'x86_64'`, uses: "fetch", with: { uri: "https://example.test/y", "purl-name": "demo" } },
        {
          runs: "echo y\n",
          "working-directory": "w",
          environment: { E: "" },
          pipeline: [{ runs: "x\n", label: "l", "working-directory": "w", environment: { E: "" } }],
        },
        { if: "'a' == 'b'", needs: { packages: ["n"] } },
        { assertions: {} },
      ],
      subpackages: [{ name: "demo-k", description: "v" }],
      update: { enabled: true, manual: false, github: { "tag-filter-prefix": "y" } },
      vars: { a: `\${{vars.b}}` },
    });
  });
});
