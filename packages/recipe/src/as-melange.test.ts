// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how recipes refer to variables.
import { isMelangeError, type MelangeError } from "@melange2/core";
import { describe, expect, test } from "vitest";
import { memoryPipelines } from "../test/memory-pipelines.ts";
import type { CompileOptions } from "./compile-options.ts";
import { compileRecipe } from "./compile-recipe.ts";
import type { CompiledRecipe } from "./compiled-recipe.ts";
import { parseRecipe } from "./parse-recipe.ts";
import { planBuild, planTests } from "./plan-recipe.ts";

// Details in which recipes are read, compiled and refused as melange does it.

const head = "package: {name: demo, version: 1, epoch: 0}\n";

async function compile(text: string, options: Partial<CompileOptions> = {}): Promise<CompiledRecipe> {
  const parsed = await parseRecipe({ file: "r.yaml", text });
  const compiled = await compileRecipe(parsed, { arch: "x86_64", pipelines: memoryPipelines({}), ...options });
  if (compiled.kind === "skipped") throw new Error(compiled.reason);
  return compiled;
}

function refusal(work: () => unknown): MelangeError {
  try {
    work();
  } catch (error) {
    if (isMelangeError(error)) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

test("the types of rare keys", async () => {
  const { recipe, environment } = await compile(`${head}update:
  enabled: true
  version_data: {version_format: x, sources: [{name: a, stream: b, commit_source: other, use_release: true}]}
environment:
  contents: {runtime_keyring: [{name: a.rsa.pub, content: KEY}]}
`);
  expect(recipe.update.version_data?.sources[0]?.commit_source).toBe("other");
  expect(environment.request.runtimeKeyring).toEqual([{ name: "a.rsa.pub", content: "KEY" }]);
  await expect(compile(`${head}environment: {contents: {runtime_keyring: [path]}}\n`)).rejects.toThrow(/a map/);
  await expect(compile(`${head}update: {enabled: true, oci: {identifier: x, tag-filter: y}}\n`)).rejects.toThrow(
    /no key "tag-filter"/,
  );
});

test("variables are pasted into the filters of updates, but not into all of their keys", async () => {
  const v = "${{vars.v}}";
  const update = {
    enabled: true,
    "ignore-regex-patterns": [v],
    "release-monitor": { identifier: 1, "strip-prefix": v, "version-filter-contains": v, "version-filter-prefix": v },
    github: { identifier: v, "strip-suffix": v, "tag-filter": v, "tag-filter-prefix": v, "tag-filter-contains": v },
    git: { "strip-prefix": v, "tag-filter-prefix": v, "tag-filter-contains": v },
    oci: { identifier: v, "tag-filter-prefix": v },
  };
  const { recipe } = await compile(`${head}vars: {v: x}\nupdate: ${JSON.stringify(update)}\n`);
  expect(recipe.update).toMatchObject({
    "ignore-regex-patterns": [v],
    "release-monitor": { "strip-prefix": v, "version-filter-contains": "x", "version-filter-prefix": "x" },
    github: {
      identifier: "x",
      "strip-suffix": v,
      "tag-filter": "x",
      "tag-filter-prefix": "x",
      "tag-filter-contains": "x",
    },
    git: { "strip-prefix": v, "tag-filter-prefix": "x", "tag-filter-contains": "x" },
    oci: { identifier: v, "tag-filter-prefix": v },
  });
});

describe("build options", () => {
  const option = (packages: object) => JSON.stringify({ environment: { contents: { packages } } });
  const packagesOf = async (own: string, options: string, buildOptions: readonly string[]) => {
    const text = `${head}environment: {contents: {packages: ${own}}}\noptions: ${options}\n`;
    return (await compile(text, { buildOptions })).environment.request.packages;
  };

  test("add, and then remove by putting the last in the place", async () => {
    const o = option({ add: ["new", "gone"], remove: ["a", "gone"] });
    expect(await packagesOf("[a, b, c]", `{o: ${o}}`, ["o"])).toEqual(["new", "b", "c"]);
    expect(await packagesOf("[a, b]", `{o: ${option({ remove: ["b"] })}}`, ["o"])).toEqual(["a"]);
    expect(await packagesOf("[a, b, a]", `{o: ${option({ remove: ["a", "z"] })}}`, ["o"])).toEqual(["b"]);
  });

  test("are applied one after another", async () => {
    const both = `{p: ${option({ add: ["x"] })}, q: ${option({ remove: ["x"] })}}`;
    expect(await packagesOf("[a]", both, ["p", "q"])).toEqual(["a"]);
    expect(await packagesOf("[a]", both, ["q", "p"])).toEqual(["a", "x"]);
  });

  test("are known by their names, each that is declared and each that is asked for", async () => {
    const text = `${head}options: {a: {}, b.c: {}}
pipeline: [{runs: "\${{options.a.enabled}} \${{options.b.c.enabled}}"}]
subpackages: [{name: demo-x, pipeline: [{runs: "\${{options.a.enabled}}"}]}]
test: {pipeline: [{runs: "\${{options.a.enabled}}"}]}
`;
    const { packages } = await compile(text, { buildOptions: ["b.c"] });
    expect(packages.map(({ steps }) => steps[0]?.fragment)).toEqual(["false true", "false"]);
    expect(packages[0]?.test?.steps[0]?.fragment).toBe("false");
    const asked = await compile(`${head}pipeline: [{runs: "\${{options.z.enabled}}"}]\n`, { buildOptions: ["z"] });
    expect(asked.packages[0]?.steps[0]?.fragment).toBe("true");
    expect(asked.warnings.map(({ message }) => message)).toEqual(['the recipe has no build option "z"']);
  });
});

describe("what compiles and does not build", () => {
  test.each([
    ["version: v1", "package: {name: demo, version: v1, epoch: 0}\n", /no version that apk can compare/, /1\.2\.3_rc1/],
    ["paths", `${head}environment: {paths: [{path: /x, type: directory}]}\n`, /paths/, /first step/],
    ["include", `${head}environment: {include: other.yaml}\n`, /include/, /Copy/],
    ["a base", `${head}environment: {contents: {baseimage: {image: /b, apkindex: /i}}}\n`, /baseimage/, /--base/],
    ["a user", `${head}environment: {accounts: {run-as: nobody-here}}\n`, /no such user/, /Known users/],
    [
      "zero",
      `${head}pipeline: [{assertions: {required-steps: 0}, pipeline: [{runs: a}]}]\n`,
      /0 steps .* 1 would/,
      /./,
    ],
    ["nothing", `${head}pipeline: [{assertions: {}, pipeline: [{runs: a}]}]\n`, /0 steps .* 1 would/, /./],
    ["less than zero", `${head}pipeline: [{assertions: {required-steps: -1}}]\n`, /-1 steps .* 0 would/, /./],
  ])("%s", async (_, text, message, hint) => {
    const compiled = await compile(text);
    expect(compiled.refusals).toHaveLength(1);
    expect(refusal(() => planBuild(compiled))).toMatchObject({
      code: "recipe",
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
      location: { file: "r.yaml", line: expect.any(Number) },
    });
  });

  test("is no matter where it is not run", async () => {
    const wrong = "{assertions: {required-steps: 2}, pipeline: [{runs: a}]}";
    const never = "\"'a' == 'b'\"";
    const { refusals } = await compile(`${head}pipeline:
  - {if: ${never}, assertions: {required-steps: 2}, pipeline: [{runs: a}]}
  - {if: ${never}, pipeline: [${wrong}]}
  - {assertions: {required-steps: 0}}
  - {pipeline: [{runs: a}], assertions: ~}
subpackages: [{name: demo-off, if: ${never}, pipeline: [${wrong}]}]
`);
    expect(refusals).toEqual([]);
  });

  test("in a test keeps the test from running, and not the build", async () => {
    const compiled = await compile(`${head}pipeline: [{runs: a}]
test: {environment: {paths: [{path: /x, type: directory}]}, pipeline: [{runs: t}]}
subpackages:
  - {name: demo-off, if: "'a' == 'b'", test: {environment: {include: x}, pipeline: [{runs: t}]}}
`);
    expect(planBuild(compiled).plan.units).toHaveLength(1);
    expect(refusal(() => planTests(compiled)).problems.map(({ message }) => message)).toEqual([
      "paths in an environment is not supported",
    ]);
  });
});

test("an environment's request has all that the recipe and flags say", async () => {
  const text = `${head}environment:
  contents:
    build_repositories: [https://b, https://a]
    repositories: [https://r, "@edge https://e"]
    runtime_repositories: [https://t]
    keyring: [b.pub, a.pub]
    packages: [p@edge, q]
    baseimage: {image: /base, apkindex: /index}
  include: more.yaml
  accounts:
    run-as: "500:600"
    users: [{username: u, uid: 500}]
    groups: [{groupname: build, gid: 7}]
  environment: {HOME: "", GOPATH: /go, X: "\${{package.name}}"}
  paths: [{path: /x, type: symlink, source: /y}, {path: /z, type: permissions, uid: 0, permissions: 0o755, recursive: true}]
test: {environment: {contents: {packages: [z]}, environment: {X: test}}, pipeline: [{runs: t, needs: {packages: [n]}}]}
`;
  const additions = { packages: ["more"], repositories: ["https://0"], keyring: ["0.pub"] };
  const { environment, packages } = await compile(text, { additions, environment: { X: "file", Y: "file" } });
  expect(environment.user).toEqual({ uid: 500, gid: 600 });
  expect(environment.request).toEqual({
    packages: ["p@edge", "q", "more"],
    buildRepositories: ["https://0", "https://a", "https://b"],
    repositories: ["https://r", "@edge https://e"],
    runtimeRepositories: ["https://t"],
    keyring: ["0.pub", "a.pub", "b.pub"],
    runtimeKeyring: [],
    baseImage: { image: "/base", apkIndex: "/index" },
    include: "more.yaml",
    users: [
      { name: "u", uid: 500, gid: 500, shell: "/bin/sh", home: "/home/u" },
      { name: "build", uid: 1000, gid: 1000, shell: "/bin/sh", home: "/home/build" },
    ],
    groups: [{ name: "build", gid: 7, members: [] }],
    runAs: "500:600",
    variables: {
      X: "demo",
      Y: "file",
      HOME: "/home/build",
      GOPATH: "/go",
      GOMODCACHE: "/var/cache/melange/gomodcache",
      UV_CACHE_DIR: "/var/cache/melange/uv",
      PIP_CACHE_DIR: "/var/cache/melange/pip",
      COMPOSER_CACHE_DIR: "/var/cache/melange/composer",
      npm_config_cache: "/var/cache/melange/npm",
    },
    paths: [
      { path: "/x", type: "symlink", uid: undefined, gid: undefined, permissions: 0, source: "/y", recursive: false },
      { path: "/z", type: "permissions", uid: 0, gid: undefined, permissions: 0o755, source: "", recursive: true },
    ],
    directories: ["/home/build/melange-out/demo"],
  });
  expect(packages[0]?.test?.environment.request).toMatchObject({
    packages: ["demo", "n", "z", "more"],
    buildRepositories: ["https://0"],
    variables: { X: "test", Y: "file", GOPATH: "/go", HOME: "/home/build" },
    users: [{ name: "build" }],
    directories: [],
  });
});

test("an entrypoint that is a bundle of services needs their supervisor", async () => {
  const text = `${head}environment: {contents: {packages: [a]}, entrypoint: {type: service-bundle}}\n`;
  expect((await compile(text)).environment.request.packages).toEqual(["a", "s6"]);
});

test("a recipe is parsed once and compiled for each architecture", async () => {
  const text = `${head}pipeline: [{runs: "echo \${{build.arch}}"}]\n`;
  const parsed = await parseRecipe({ file: "r.yaml", text });
  const run = async (arch: string) => {
    const compiled = await compileRecipe(parsed, { arch, pipelines: memoryPipelines({}) });
    return compiled.kind === "compiled" && planBuild(compiled).plan.units[0]?.steps[0]?.fragment;
  };
  expect(await Promise.all(["x86_64", "arm64"].map(run))).toEqual(["echo x86_64", "echo aarch64"]);
  await expect(compileRecipe({ ...parsed }, { arch: "x86_64", pipelines: memoryPipelines({}) })).rejects.toBeInstanceOf(
    TypeError,
  );
});

test("a file of vars goes over the recipe's own, and its faults are told in its own lines", async () => {
  const text = `${head}vars: {a: own, b: own}\npipeline: [{runs: "\${{vars.a}} \${{vars.b}} \${{vars.c}}"}]\n`;
  const varsFile = { file: "vars.yaml", text: "a: given\nc: ${{vars.a}}!\n" };
  const parsed = await parseRecipe({ file: "r.yaml", text, varsFile });
  const compiled = await compileRecipe(parsed, { arch: "x86_64", pipelines: memoryPipelines({}) });
  expect(compiled.kind === "compiled" && compiled.packages[0]?.steps[0]?.fragment).toBe("given own given!");
  for (const [vars, location] of [
    ["- a\n", { file: "vars.yaml", line: 1, column: 1 }],
    ["a: x\nb: [x]\n", { file: "vars.yaml", line: 2, column: 4 }],
    ["a: x\na: y\n", { file: "vars.yaml", line: 2, column: 1 }],
  ] as const) {
    await expect(
      parseRecipe({ file: "r.yaml", text, varsFile: { file: "vars.yaml", text: vars } }),
    ).rejects.toMatchObject({ code: "recipe", location });
  }
  expect(
    (await parseRecipe({ file: "r.yaml", text: head, varsFile: { file: "v.yaml", text: "" } })).recipe.vars,
  ).toEqual({});
});
