// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how recipes refer to variables.
import { isMelangeError } from "@melange2/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memoryPipelines } from "../test/memory-pipelines.ts";
import { compileRecipe } from "./compile-recipe.ts";
import { everyStep } from "./compile-steps.ts";
import type { CompiledRecipe } from "./compiled-recipe.ts";
import { parseRecipe } from "./parse-recipe.ts";

const head = 'package: {name: demo, version: "3.14", epoch: 0}\n';

async function compile(text: string, files: Readonly<Record<string, string>> = {}): Promise<CompiledRecipe> {
  const parsed = await parseRecipe({ file: "r.yaml", text });
  const compiled = await compileRecipe(parsed, { arch: "x86_64", pipelines: memoryPipelines(files) });
  if (compiled.kind === "skipped") throw new Error(compiled.reason);
  return compiled;
}

/** What the steps of all packages run. */
async function fragments(text: string, files?: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const { packages } = await compile(text, files);
  return packages.flatMap(({ steps }) => everyStep(steps)).flatMap(({ fragment }) => (fragment ? [fragment] : []));
}

/** `line:column message` of each problem. */
async function problems(text: string, files?: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const error = await compile(text, files).catch((reason: unknown) => reason);
  if (!isMelangeError(error)) throw error instanceof Error ? error : new Error("it was accepted");
  return error.problems.map(({ message, location }) => `${location?.line}:${location?.column} ${message}`);
}

describe("inputs", () => {
  const use = (pipeline: string, ...more: string[]) => ({
    text: `${head}pipeline:\n  - uses: p\n${more.join("")}`,
    files: { p: pipeline },
  });
  const run = ({ text, files }: ReturnType<typeof use>) => fragments(text, files);

  test("have defaults that use other inputs, in any order and through each other", async () => {
    const inputs = 'inputs: {c: {default: "${{inputs.b}}c"}, a: {default: a}, b: {default: "${{inputs.a}}b"}}\n';
    expect(await run(use(`${inputs}pipeline: [{runs: "\${{inputs.c}}"}]\n`))).toEqual(["abc"]);
    expect(await run(use(`${inputs}runs: \${{inputs.c}}\n`, "    with: {a: x}\n"))).toEqual(["xbc"]);
    expect(await run(use(`${inputs}runs: \${{inputs.c}}\n`, "    with: {c: '${{inputs.b}}!'}\n"))).toEqual(["ab!"]);
  });

  test("in whatever order they are declared", async () => {
    const declared = { a: "a", b: "${{inputs.a}}b", c: "${{inputs.b}}c", d: "${{inputs.a}}${{inputs.c}}" };
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(Object.entries(declared), { minLength: 4 }), async (order) => {
        const inputs = Object.fromEntries(order.map(([name, text]) => [name, { default: text }]));
        const pipeline = JSON.stringify({ inputs, runs: "${{inputs.d}}" });
        expect(await run(use(pipeline))).toEqual(["aabc"]);
      }),
      { numRuns: 24 },
    );
  });

  test("that refer to each other in a circle are reported", async () => {
    const { text, files } = use('inputs: {a: {default: "${{inputs.b}}"}, b: {default: "${{inputs.a}}"}}\nruns: x\n');
    expect(await problems(text, files)).toEqual(['1:23 the input "a" refers to itself: a → b → a']);
    const own = use('inputs: {a: {default: "${{inputs.a}}"}}\nruns: x\n');
    expect(await problems(own.text, own.files)).toEqual(['1:23 the input "a" refers to itself: a → a']);
    const deep = JSON.stringify({
      inputs: Object.fromEntries(
        Array.from({ length: 200 }, (_, index) => [`i${index}`, { default: `\${{inputs.i${index + 1}}}` }]),
      ),
    });
    const [message] = await problems(`${head}pipeline: [{uses: p}]\n`, { p: deep });
    expect(message).toMatch(/more than 64 deep/);
  });

  test("hand on what the pipeline around has, under the same name as well", async () => {
    const files = {
      outer:
        'inputs: {word: {default: out}}\npipeline: [{uses: inner, with: {word: "${{inputs.word}}!"}}, {uses: own}]\n',
      inner: "inputs: {word: {default: in}}\nruns: ${{inputs.word}}\n",
      own: 'inputs: {word: {default: "=${{inputs.word}}="}}\nruns: ${{inputs.word}}\n',
    };
    expect(await fragments(`${head}pipeline: [{uses: outer}]\n`, files)).toEqual(["out!", "=out="]);
    expect(await fragments(`${head}pipeline: [{uses: outer, with: {word: x}}]\n`, files)).toEqual(["x!", "=x="]);
  });

  test("that do not resolve are reported once, where they are given", async () => {
    const files = {
      p: "inputs: {a: {}}\npipeline: [{runs: '${{inputs.a}}'}, {runs: '${{inputs.a}}', if: \"${{inputs.a}} == ''\"}]\n",
    };
    expect(await problems(`${head}pipeline: [{uses: p, with: {a: "\${{nope}}"}}]\n`, files)).toEqual([
      '2:33 the variable "nope" is not defined',
    ]);
  });
});

describe("a reference that a value holds", () => {
  const transform = (result: string) =>
    `${head}var-transforms: [{from: "\${{package.name}}", match: .*, replace: "${result}", to: t}]\n`;
  const files = {
    p: "inputs: {a: {default: '${{vars.t}}'}}\nneeds: {packages: ['n-${{vars.t}}']}\nruns: ${{vars.t}} ${{inputs.a}}\n",
  };

  test("is resolved wherever it is pasted", async () => {
    const text = `${transform("${{build.arch}}")}pipeline:
  - runs: \${{vars.t}} \${{ vars.t }}
  - {uses: p, working-directory: "\${{ vars.t }}"}
  - {uses: p, with: {a: "=\${{ vars.t }}="}, if: "\${{ vars.t }} == 'x86_64'"}
`;
    const { packages, environment } = await compile(text, files);
    const steps = everyStep(packages[0]?.steps ?? []);
    expect(steps.map(({ fragment, workdir, active }) => [fragment, workdir, active])).toEqual([
      ["x86_64 x86_64", "/home/build", true],
      ["x86_64 x86_64", "/home/build/x86_64", true],
      ["x86_64 =x86_64=", "/home/build", true],
    ]);
    expect(environment.request.packages).toEqual(["n-x86_64", "n-x86_64"]);
  });

  test("means what it means in the place where the value is used", async () => {
    const text = `${transform("${{context.name}}")}pipeline: [{runs: "\${{ vars.t }}"}]
subpackages: [{name: demo-x, pipeline: [{runs: "\${{ vars.t }}"}, {uses: p}]}]
`;
    expect(await fragments(text, files)).toEqual(["demo", "demo-x", "demo-x demo-x"]);
  });

  test("is resolved in names, descriptions, ranges and through several vars", async () => {
    const { recipe, packages } =
      await compile(`package: {name: "\${{vars.a}}", version: "\${{vars.v}}", epoch: 1, description: "of \${{package.full-version}}"}
vars: {a: "\${{vars.b}}-x", b: "\${{ vars.c }}", c: deep, v: "1.2"}
data: [{name: d, items: {k: "\${{vars.a}}"}}]
subpackages: [{range: d, name: "\${{range.value}}-\${{range.key}}", description: "\${{range.value}}"}]
`);
    expect(recipe.package).toMatchObject({ name: "deep-x", version: "1.2", description: "of 1.2-r1" });
    expect(packages.map(({ name, source }) => [name, source.description])).toEqual([
      ["deep-x", "of 1.2-r1"],
      ["deep-x-k", "deep-x"],
    ]);
  });

  test("is resolved where a transform made the value", async () => {
    const text = `${transform("${{vars.later}}-${{ package.version }}")}vars: {later: "\${{vars.t2}}", t2: x}\n`;
    const { recipe } = await compile(text.replace("epoch: 0}", 'epoch: 0, description: "${{vars.t}}"}'));
    expect(recipe.package.description).toBe("x-3.14");
  });

  test("that is nowhere defined is told with the variable that holds it", async () => {
    expect(await problems(`${transform("${{nope}}")}pipeline: [{runs: "\${{ vars.t }}"}]\n`)).toEqual([
      '3:19 the variable "nope" is not defined, which the value of "vars.t" holds',
    ]);
  });

  test("to itself is reported", async () => {
    expect(await problems(transform("${{vars.t}}"))).toEqual(['2:25 the variable "vars.t" refers to itself: t → t']);
  });

  test("costs no more where it doubles and doubles", async () => {
    const doubling = Array.from({ length: 60 }, (_, index) => ({
      from: "x",
      match: "x",
      replace: index === 0 ? "" : `\${{vars.t${index - 1}}}\${{vars.t${index - 1}}}`,
      to: `t${index}`,
    }));
    const text = `${head}var-transforms: ${JSON.stringify(doubling)}\npipeline: [{runs: "a\${{ vars.t59 }}"}]\n`;
    expect(await fragments(text)).toEqual(["a"]);
  });

  test("that values make side by side is refused", async () => {
    expect(
      await problems(
        `${head}vars: {a: "$", b: "{{build.arch}}"}\npipeline: [{runs: "\${{ vars.a }}\${{ vars.b }}"}]\n`,
      ),
    ).toEqual(['3:19 once its variables are substituted, the text holds "${{build.arch}}"']);
  });
});

describe("vars and transforms", () => {
  test("may use each other in any order", async () => {
    const text = `${head}vars: {url: "https://x/\${{vars.mm}}", base: v}
var-transforms:
  - {from: "\${{vars.url}}", match: x, replace: y, to: moved}
  - {from: "\${{package.version}}", match: "^(\\\\d+).*$", replace: "$1", to: mm}
  - {from: "\${{vars.base}}", match: v, replace: "\${0}w", to: base}
  - {from: "\${{vars.base}}", match: w, replace: "", to: last}
pipeline: [{runs: "\${{vars.url}} \${{vars.moved}} \${{vars.base}} \${{vars.last}}"}]
`;
    expect(await fragments(text)).toEqual(["https://x/3 https://y/3 vw v"]);
  });

  test("that use each other in a circle are reported", async () => {
    const [first] = await problems(
      `${head}vars: {a: "\${{vars.t}}"}\nvar-transforms: [{from: "\${{vars.a}}", match: x, replace: y, to: t}]\n`,
    );
    expect(first).toMatch(/refers to itself/);
  });

  test("are recomputed where a build option changes a var", async () => {
    const text = `${head}vars: {a: one}
options: {o: {vars: {a: two}}}
var-transforms: [{from: "\${{vars.a}}", match: "$", replace: "!", to: t}]
pipeline: [{runs: "\${{ vars.t }}"}]
`;
    const parsed = await parseRecipe({ file: "r.yaml", text });
    const run = async (buildOptions: readonly string[]) => {
      const compiled = await compileRecipe(parsed, { arch: "x86_64", pipelines: memoryPipelines({}), buildOptions });
      return compiled.kind === "compiled" && compiled.packages[0]?.steps[0]?.fragment;
    };
    expect([await run([]), await run(["o"]), await run([])]).toEqual(["one!", "two!", "one!"]);
  });
});
