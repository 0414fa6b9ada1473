import { isMelangeError, type Problem } from "@melange2/core";
import { describe, expect, test } from "vitest";
import { memoryPipelines as pipelines } from "../test/memory-pipelines.ts";
import { type Planned, type PlannedOptions, plannedRecipe } from "../test/planned.ts";

const head = "package:\n  name: demo\n  version: 1.10\n  epoch: 2\n";

async function compile(text: string, options: Partial<PlannedOptions> = {}): Promise<Planned> {
  const result = await plannedRecipe({ file: "r.yaml", text, arch: "x86_64", pipelines: pipelines({}), ...options });
  if (result.kind !== "compiled") throw new Error(result.reason);
  return result;
}

async function problemsOf(text: string, options: Partial<PlannedOptions> = {}): Promise<readonly Problem[]> {
  const error = await compile(text, options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isMelangeError(error)) throw error ?? new Error("it was accepted");
  expect(error.code).toBe("recipe");
  return error.problems;
}

/** `line:column message` of each problem. */
async function shown(text: string, options: Partial<PlannedOptions> = {}): Promise<readonly string[]> {
  const problems = await problemsOf(text, options);
  return problems.map(({ message, location }) => `${location?.line}:${location?.column} ${message}`);
}

describe("steps", () => {
  const nested = pipelines({
    outer: `
needs: {packages: [one]}
inputs:
  word: {default: "\${{context.name}}"}
pipeline:
  - runs: echo outer \${{inputs.word}}
  - uses: inner
    with: {word: "\${{inputs.word}}!"}
`,
    inner: `
description: keys that nobody knows are ignored here
needs: {packages: ["two-\${{inputs.word}}"]}
inputs:
  word: {required: true}
pipeline:
  - name: say it
    runs: echo inner \${{inputs.word}}
`,
  });

  test("are flat, with the content of used pipelines in place", async () => {
    const { plan, environments } = await compile(
      `${head}pipeline:
  - name: first
    runs: echo \${{package.full-version}}
  - uses: outer
  - runs: echo parent
    pipeline:
      - runs: echo child
subpackages:
  - name: demo-dev
    pipeline:
      - uses: outer
        with: {word: hi}
`,
      { pipelines: nested },
    );
    const steps = plan.units.map(({ id, steps: [step], from }, index) => {
      expect(step?.id).toBe(id);
      expect(from).toEqual(index === 0 ? { environment: "build" } : { unit: plan.units[index - 1]?.id });
      return [id, step?.path, step?.label, step?.location.line, step?.package, step?.fragment];
    });
    expect(steps).toEqual([
      ["main-0", "pipeline[0]", "first", 6, "demo", "echo 1.10-r2"],
      ["main-1.0", "pipeline[1].pipeline[0]", "outer", 8, "demo", "echo outer demo"],
      ["main-1.1.0", "pipeline[1].pipeline[1].pipeline[0]", "say it", 8, "demo", "echo inner demo!"],
      ["main-2", "pipeline[2]", "echo parent", 9, "demo", "echo parent"],
      ["main-2.0", "pipeline[2].pipeline[0]", "echo child", 11, "demo", "echo child"],
      ["sub.demo-dev-0.0", "subpackages[0].pipeline[0].pipeline[0]", "outer", 15, "demo-dev", "echo outer hi"],
      [
        "sub.demo-dev-0.1.0",
        "subpackages[0].pipeline[0].pipeline[1].pipeline[0]",
        "say it",
        15,
        "demo-dev",
        "echo inner hi!",
      ],
    ]);
    expect(environments.build?.packages).toEqual(["one", "two-demo!", "one", "two-hi!"]);
    expect(environments.build?.directories).toEqual(["/home/build/melange-out/demo"]);
  });

  test("of a subpackage find its directory made by the first of them", async () => {
    const { plan } = await compile(`${head}subpackages:\n  - name: demo-x\n    pipeline: [{runs: one}, {runs: two}]\n`);
    const [first, second] = plan.units.map(({ steps }) => steps[0]?.script);
    expect(first).toContain("mkdir -p /home/build/melange-out/demo-x\n");
    expect(second).not.toContain("melange-out");
  });

  test("carry user, capabilities, secrets, cache, timeout", async () => {
    const { plan, environments } = await compile(
      `${head}  timeout: 1h
environment:
  accounts:
    run-as: builder
    users: [{username: builder, uid: 500}]
capabilities: {add: [CAP_SYS_ADMIN], drop: [CAP_NET_RAW]}
pipeline: [{runs: "true"}]
`,
      { secretEnv: ["TOKEN"], cacheDirectory: "/cache", stepTimeout: 7200 },
    );
    expect(plan.units[0]?.steps[0]).toMatchObject({
      user: { uid: 500, gid: 500 },
      capabilities: { add: ["CAP_SYS_ADMIN"], drop: ["CAP_NET_RAW"] },
      secretEnv: ["TOKEN"],
      mounts: [{ kind: "cache", source: "/cache", target: "/var/cache/melange" }],
      timeout: 3600,
    });
    expect(environments.build?.users).toEqual([
      { name: "builder", uid: 500, gid: 500, shell: "/bin/sh", home: "/home/builder" },
      { name: "build", uid: 1000, gid: 1000, shell: "/bin/sh", home: "/home/build" },
    ]);
  });

  test("have no variable of a secret's name, whoever sets it", async () => {
    const { plan, tests } = await compile(
      `${head}environment: {environment: {TOKEN: recipe, OTHER: recipe}}
pipeline: [{runs: "true", environment: {TOKEN: step}}]
test: {environment: {environment: {TOKEN: test}}, pipeline: [{runs: "true"}]}
`,
      { secretEnv: ["TOKEN", "HOME"], environment: { TOKEN: "file" } },
    );
    for (const step of [...plan.units, ...tests.units].flatMap(({ steps }) => steps)) {
      expect(Object.keys(step.env)).not.toEqual(expect.arrayContaining(["TOKEN"]));
      expect(step).toMatchObject({ env: { OTHER: "recipe" }, secretEnv: ["TOKEN", "HOME"] });
      expect(step.env.HOME).toBeUndefined();
    }
  });

  test("that a condition switches off are not there, nor are their needs; a step without a script is none", async () => {
    const { plan, environments } = await compile(`${head}pipeline:
  - if: \${{build.arch}} == 'aarch64'
    needs: {packages: [off]}
    pipeline: [{runs: never}]
  - pipeline: [{runs: ""}, {runs: "# nothing"}]
`);
    expect(plan.units.map(({ id }) => id)).toEqual(["main-1.1"]);
    expect(environments.build?.packages).toEqual([]);
  });

  test("have unique ids, however subpackages are called", async () => {
    const { plan, tests } = await compile(`${head}subpackages:
  - {name: x, pipeline: [{runs: a}, {runs: b}], test: {pipeline: [{runs: t}]}}
  - {name: x-0, pipeline: [{runs: a}, {pipeline: [{runs: b}]}], test: {pipeline: [{runs: t}]}}
  - {name: x-0.1, pipeline: [{runs: a}]}
`);
    const ids = [...plan.units, ...tests.units].flatMap(({ steps }) => steps.map(({ id }) => id));
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9._+-]+$/);
  });
});

test("tests are units of all their steps, in environments of their own", async () => {
  const { tests, environments } = await compile(`${head}environment: {environment: {A: main, B: main}}
test:
  environment: {contents: {packages: [z, a]}, environment: {B: test}}
  pipeline: [{runs: one}, {runs: two, needs: {packages: [n]}}]
subpackages:
  - {name: demo-x, test: {pipeline: [{runs: sub}]}}
  - {name: demo-y, test: {environment: {contents: {packages: [q]}}}}
`);
  expect(
    tests.units.map(({ id, from, purpose, steps }) => [id, from, purpose, steps.map((step) => step.fragment)]),
  ).toEqual([
    ["test", { environment: "test:demo" }, "test", ["one", "two"]],
    ["subtest.demo-x", { environment: "test:demo-x" }, "test", ["sub"]],
  ]);
  expect(environments["test:demo"]?.packages).toEqual(["a", "demo", "n", "z"]);
  expect(tests.units[0]?.steps[0]?.env).toMatchObject({ A: "main", B: "test", HOME: "/home/build" });
  expect(tests.units[0]?.steps[0]?.env).not.toHaveProperty("SOURCE_DATE_EPOCH");
});

test("a recipe for another architecture is skipped with a reason", async () => {
  const text = `${head}  target-architecture: [aarch64]\npipeline: [{runs: "\${{nope}}"}]\n`;
  const result = await plannedRecipe({ file: "r.yaml", text, arch: "x86_64", pipelines: pipelines({}) });
  expect(result).toMatchObject({ kind: "skipped", reason: "demo is not built for x86_64, only for aarch64" });
});

test("ranges repeat subpackages in the byte order of their keys", async () => {
  const { recipe, packages } = await compile(`${head}data:
  - name: d
    items: {b: two, "10": ten, "9": nine, B: upper, "": none}
subpackages:
  - range: d
    name: demo-\${{range.value}}
    description: key \${{range.key}}
`);
  expect(packages.map(({ name }) => name)).toEqual([
    "demo",
    "demo-none",
    "demo-ten",
    "demo-nine",
    "demo-upper",
    "demo-two",
  ]);
  expect(recipe.subpackages[1]?.description).toBe("key 10");
});

test("a build option changes packages and the variables that were not pasted", async () => {
  const text = `${head}vars: {v: file}
options: {o: {vars: {v: option}, environment: {contents: {packages: {add: [new], remove: [old]}}}}}
environment: {contents: {packages: [old, kept]}}
pipeline: [{runs: "\${{vars.v}} \${{ vars.v }} \${{options.o.enabled}}"}]
`;
  const { plan, environments } = await compile(text, { buildOptions: ["o"] });
  expect(plan.units[0]?.steps[0]?.fragment).toBe("file option true");
  expect(environments.build?.packages).toEqual(["new", "kept"]);
  expect((await compile(text)).plan.units[0]?.steps[0]?.fragment).toBe("file file false");
  expect(
    (await compile(text, { varsFile: { file: "vars.yaml", text: "v: given" } })).plan.units[0]?.steps[0]?.fragment,
  ).toBe("given given false");
});

test("the condition of a subpackage knows no architecture, as in melange, and that is said", async () => {
  const { warnings, packages } = await compile(`${head}subpackages:
  - {name: demo-x, if: "\${{build.arch}} == 'x86_64'"}
  - {name: demo-y, if: "'\${{package.name}}' == 'demo'"}
`);
  expect(packages.map(({ name }) => name)).toEqual(["demo", "demo-y"]);
  expect(warnings.map(({ message }) => message)).toEqual([
    `\${{build.arch}} is empty in the condition of a subpackage, as in melange`,
  ]);
});

describe("problems", () => {
  test("of reading are all found, each at its place", async () => {
    expect(
      await shown(`package:
  name: demo
  version: 1.0
  epoch: "1"
  licence: MIT
pipeline:
  - run: x
  - runs: [a]
`),
    ).toEqual([
      '4:10 a whole number, 0 or more and unquoted, is needed here, not the quoted text "1"',
      '5:3 package has no key "licence"',
      '7:5 a step has no key "run"',
      "8:11 a text is needed here, not a list",
    ]);
  });

  test("with a misspelt word suggest the right one", async () => {
    const [problem] = await problemsOf(`${head}pipelin: []\n`);
    expect(problem?.hint).toBe('Did you mean "pipeline"?');
    const [variable] = await problemsOf(`${head}pipeline: [{runs: "\${{package.nam}}"}]\n`);
    expect(variable?.hint).toBe(`Did you mean "\${{package.name}}"?`);
  });

  test("of a variable are shown where it stands in the text", async () => {
    expect(
      await shown(`${head}pipeline:
  - runs: |
      echo fine
      echo \${{ nope }}
      # \${{also.nope}}
  - if: \${{nowhere}} == 'x'
    runs: x
`),
    ).toEqual([
      '8:12 the variable "nope" is not defined',
      '9:9 the variable "also.nope" is not defined',
      '10:9 the variable "nowhere" is not defined',
    ]);
  });

  test("of shell are shown in their line", async () => {
    expect(await shown(`${head}pipeline:\n  - runs: |\n      echo fine\n      if true; then\n        echo\n`)).toEqual([
      "8:7 line 2 of the script is not valid shell: `if` statement must end with `fi`",
    ]);
    const two = `${head}pipeline:\n  - runs: echo "one\n  - runs: echo "two\n`;
    expect(await shown(two)).toHaveLength(2);
  });

  test("of a used pipeline", async () => {
    const source = pipelines({
      p: "inputs: {a: {required: true}, b: {}, expected-sha256: {}}\npipeline: [{runs: x}]\n",
      loop: "pipeline: [{uses: loop}]\n",
    });
    const step = (yaml: string) => shown(`${head}pipeline:\n  - ${yaml}\n`, { pipelines: source });
    expect(await step("uses: p")).toEqual(['6:5 "p" needs the input "a"']);
    expect(await step("uses: p\n    with: {a: x, c: y}")).toEqual(['7:21 "p" has no input "c"']);
    expect(await step("uses: p\n    with: {a: x, expected-sha256: abc}")).toEqual([
      '7:35 expected-sha256 must be 64 hexadecimal digits, not "abc"',
    ]);
    expect(await step("uses: q")).toEqual(['6:11 there is no pipeline "q"']);
    expect(await step("uses: ../p")).toEqual(['6:11 uses "../p" contains ".."']);
    expect(await step("uses: a/../p")).toEqual(['6:11 uses "a/../p" contains ".."']);
    expect(await step("uses: /etc/p")).toEqual(['6:11 uses "/etc/p" is an absolute path']);
    expect(await step("uses: loop")).toEqual(['1:19 the pipeline "loop" uses itself: loop → loop']);
    const [unknown] = await problemsOf(`${head}pipeline: [{uses: q}]\n`, { pipelines: source });
    expect(unknown?.hint).toContain("Searched: memory");
  });

  test("of meaning", async () => {
    expect(
      await shown(`package: {name: a b, version: v1, epoch: 0, dependencies: {provider-priority: high}}
subpackages:
  - name: x
  - name: x
  - range: none
    name: y
`),
    ).toEqual([
      '1:17 "a b" is no name for a package',
      '1:79 provider-priority must be a whole number, not "high"',
      '4:11 the subpackage name "x" is already that of subpackages[0]',
      '5:12 there is no data named "none" to range over',
    ]);
    expect(await shown("package: {name: a, version: v1, epoch: 0}\n")).toEqual([
      '1:29 "v1" is no version that apk can compare',
    ]);
    expect(await shown(`${head}environment: {accounts: {run-as: nobody-here}}\npipeline: [{runs: x}]\n`)).toEqual([
      '5:34 the steps are to run as "nobody-here", but there is no such user',
    ]);
    expect(await shown(`${head}environment: {paths: [{path: /x, type: directory}]}\n`)).toEqual([
      "5:23 paths in an environment is not supported",
    ]);
    expect(
      await shown(`${head}pipeline: [{assertions: {required-steps: 1}, pipeline: [{runs: a}, {runs: b}]}]\n`),
    ).toEqual(["5:25 1 steps of this pipeline must run, but 2 would"]);
  });

  test("of vars that refer to each other in a circle", async () => {
    expect(await shown(`${head}vars:\n  a: \${{vars.b}}\n  b: \${{vars.a}}\n`)).toEqual([
      '6:6 the variable "vars.a" refers to itself: a → b → a',
    ]);
    const { plan } = await compile(
      `${head}vars: {a: "\${{vars.b}}-y", b: x}\npipeline: [{runs: "\${{vars.a}} \${{ vars.a }}"}]\n`,
    );
    expect(plan.units[0]?.steps[0]?.fragment).toBe("x-y x-y");
  });

  test("an unknown architecture is the caller's mistake", async () => {
    await expect(compile(head, { arch: "vax" })).rejects.toMatchObject({ code: "usage" });
  });
});
