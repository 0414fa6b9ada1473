// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how recipes refer to variables.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMelangeError, type MelangeError } from "@melange2/core";
import { afterAll, describe, expect, it } from "vitest";
import { readRecipe } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "melange2-limits-"));
afterAll(() => rmSync(folder, { recursive: true }));

const head = "package: {name: t, version: 1.0.0, epoch: 0, description: x}\n";

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function refusal(path: string): Promise<MelangeError> {
  const error = await readRecipe(path, { arch: "x86_64", pipelineDirectories: [folder] }).catch((reason) => reason);
  if (!isMelangeError(error)) throw error;
  return error;
}

describe("a recipe that asks for too much is refused at the place that goes over the limit", () => {
  const repeated = (count: number, text: (index: number) => string) =>
    Array.from({ length: count }, (_, i) => text(i)).join("");
  const cases: readonly (readonly [what: string, text: string, says: RegExp, line: number])[] = [
    ["brackets without end", `${head}pipeline: ${"[".repeat(5000)}`, /too deep/, 2],
    ["pipelines in pipelines", `${head}pipeline: ${"[{pipeline: ".repeat(60)}[]${"}]".repeat(60)}`, /64 deep/, 2],
    [
      "variables that double",
      `${head}vars:\n${repeated(40, (i) => `  v${i}: "\${{vars.v${i + 1}}}\${{vars.v${i + 1}}}"\n`)}  v40: x\n`,
      /grows beyond 1 MiB/,
      22,
    ],
    [
      "a chain of variables",
      `${head}vars:\n${repeated(999, (i) => `  v${i}: "\${{vars.v${i + 1}}}"\n`)}  v999: x\n`,
      /64 deep/,
      67,
    ],
    ["steps", `${head}pipeline:\n${"  - runs: x\n".repeat(10_001)}`, /more than 10000 steps/, 10_003],
    [
      "subpackages of a range",
      `${head}data: [{name: d, items: {${repeated(5001, (i) => `"${i}": a,`)}}}]\nsubpackages: [{range: d, name: "t-\${{range.key}}"}]\n`,
      /more than 5000 subpackages/,
      3,
    ],
    [
      "an expression that grows",
      `${head}var-transforms: [{from: "${"a".repeat(2000)}", match: a, replace: ${"b".repeat(1000)}, to: y}]\n`,
      /grows beyond/,
      2,
    ],
    [
      "an expression that looks at a long text again and again",
      `${head}var-transforms: [{from: "${"a".repeat(100_000)}", match: "(a.*b|a)+?c|a", replace: x, to: y}]\n`,
      /regular expression takes too long/,
      2,
    ],
    [
      "an expression of many states",
      `${head}var-transforms: [{from: "${"a".repeat(1000)}", match: "${"(a?){1000}".repeat(60)}b", replace: x, to: y}]\n`,
      /regular expression takes too long/,
      2,
    ],
    [
      "texts of a range",
      `${head}data: [{name: d, items: {${repeated(4900, (i) => `"${i}": a,`)}}}]\nsubpackages: [{range: d, name: "t-\${{range.key}}", description: "${"${{range.key}}".repeat(10_000)}"}]\n`,
      /grow beyond 8 MiB/,
      3,
    ],
    [
      "steps of a range",
      `${head}data: [{name: d, items: {${repeated(4900, (i) => `"${i}": a,`)}}}]\nsubpackages: [{range: d, name: "t-\${{range.key}}", pipeline: [${"{runs: a},".repeat(3000)}]}]\n`,
      /more than 500000 values/,
      3,
    ],
    [
      "variables of each step",
      `${head}environment: {environment: {${repeated(9000, (i) => `v${i}: x,`)}}}\npipeline: [${"{runs: a, environment: {a: b}},".repeat(4000)}]\n`,
      /more than 500000 values/,
      3,
    ],
    ["parentheses of a condition", `${head}pipeline: [{if: "${"(".repeat(100_000)}", runs: a}]\n`, /64 deep/, 2],
    ["a script in a script", `${head}pipeline: [{runs: "${"$(".repeat(100_000)}"}]\n`, /nests too deep/, 2],
    ["a script in brackets", `${head}pipeline: [{runs: "${"(".repeat(500_000)}"}]\n`, /nests too deep/, 2],
    [
      "scripts",
      `${head}vars: {a: "${": ".repeat(100_000)}"}\npipeline:\n${repeated(35, (i) => `  - runs: echo ${i} \${{vars.a}}\n`)}`,
      /more than 4194304 characters/,
      23,
    ],
    ["values of a list", `${head}data: [${"x,".repeat(60_000)}]\n`, /more than 50000 values/, 2],
    ["documents without end", `${head}${"---\na: 1\n".repeat(200_000)}`, /300000 YAML tokens/, 66_655],
    ["digits of a number", `package: {name: t, version: 1, epoch: ${"1".repeat(500_000)}e5e}\n`, /whole number/, 1],
    [
      "a variable's name",
      `${head}vars: {${"a".repeat(1000)}: x}\npipeline: [{runs: "\${{vars.${"b".repeat(1_000_000)}}}"}]\n`,
      /is not defined/,
      3,
    ],
    [
      "anchors before aliases",
      `${head}vars:\n${repeated(9_000, (i) => `  c${i}: &a${i} x\n`)}${repeated(9_000, (i) => `  a${i + 1}: *a${i}\n`)}x: 1\n`,
      /no key "x"/,
      18_003,
    ],
    [
      "aliases that multiply",
      `${head}vars:\n  a: &a [x,x,x,x,x,x,x,x,x]\n${repeated(7, (i) => `  ${"bcdefgh"[i]}: &${"bcdefgh"[i]} [${`*${"abcdefg"[i]},`.repeat(9)}]\n`)}`,
      /values|alias/,
      3,
    ],
    ["characters", `# ${"x".repeat(5 * 1024 * 1024)}\n${head}`, /more than 2097152 characters/, 1],
  ];

  it.each(cases)("%s", async (what, text, says, line) => {
    const started = Date.now();
    const error = await refusal(file("case.yaml", text));
    expect(error.code, what).toBe("recipe");
    expect([error.message, ...error.problems.map(({ message }) => message)].join("\n")).toMatch(says);
    expect(error.location?.line).toBeLessThanOrEqual(line + 8);
    expect(error.location?.line).toBeGreaterThanOrEqual(line);
    expect(error.location?.file).toContain("case.yaml");
    expect(error.message.length).toBeLessThan(1000);
    // No measurement: ten seconds are forever here.
    expect(Date.now() - started).toBeLessThan(10_000);
  });

  it("pipelines that use ten of the next, seven deep", async () => {
    for (let depth = 0; depth < 6; depth++)
      file(`p${depth}.yaml`, `pipeline:\n${`  - uses: p${depth + 1}\n`.repeat(10)}`);
    file("p6.yaml", 'pipeline: [{runs: "true"}]\n');
    const error = await refusal(file("deep.yaml", `${head}pipeline:\n  - uses: p0\n`));
    expect(error).toMatchObject({ code: "recipe", location: { line: 3, column: 5 } });
    expect(error.message).toContain("more than 10000 steps");
  });

  it("pipelines that are too long together", async () => {
    for (const name of ["long0", "long1", "long2"])
      file(`${name}.yaml`, `# ${"x".repeat(900_000)}\npipeline: [{runs: "true"}]\n`);
    const error = await refusal(file("long.yaml", `${head}pipeline: [{uses: long0}, {uses: long1}, {uses: long2}]\n`));
    expect(error.message).toContain("the pipelines that the recipe uses have more than 2097152 characters");
    expect(error.location?.file).toContain("long2.yaml");
  });

  it("a hundred mistakes are enough to show", async () => {
    const error = await refusal(file("wrong.yaml", head + repeated(5000, (i) => `x${i}: 1\n`)));
    expect(error.problems).toHaveLength(100);
  });
});

describe("what is no file of text is refused at once", () => {
  it("a FIFO, a folder, a device, a socket, nothing", async () => {
    execFileSync("mkfifo", [join(folder, "fifo.yaml")]);
    const server = createServer().listen(join(folder, "socket.yaml"));
    await new Promise((listening) => server.once("listening", listening));
    for (const [path, says] of [
      [join(folder, "fifo.yaml"), "it is a FIFO"],
      [folder, "it is a folder"],
      ["/dev/zero", "it is a device"],
      [join(folder, "socket.yaml"), "it is a socket"],
      [join(folder, "missing.yaml"), "ENOENT"],
    ] as const)
      expect((await refusal(path)).message).toContain(says);
    server.close();
  });

  it("a FIFO as pipeline", async () => {
    execFileSync("mkfifo", [join(folder, "waits.yaml")]);
    const error = await refusal(file("uses.yaml", `${head}pipeline: [{uses: waits}]\n`));
    expect(error.message).toContain("it is a FIFO");
    expect(error.location).toMatchObject({ line: 2 });
  });

  it("bytes that are no UTF-8 are named by their place", async () => {
    const bytes = Buffer.concat([Buffer.from(`${head}# gr\u00fcn: `), Buffer.from([0xff, 0xfe])]);
    expect((await refusal(file("latin.yaml", bytes))).location).toMatchObject({ line: 2, column: 9 });
    expect((await refusal(file("cut.yaml", Buffer.from(`${head}# \u00fc`).subarray(0, -1)))).location).toMatchObject({
      line: 2,
      column: 3,
    });
  });
});

it("capabilities are those of Linux, in any spelling that melange takes", async () => {
  const error = await refusal(file("cap.yaml", `${head}capabilities:\n  add: [CAP_BOGUS]\n`));
  expect(error).toMatchObject({ code: "recipe", location: { line: 3, column: 9 } });
  const good = `${head}capabilities: {add: [CAP_NET_ADMIN, sys_ptrace], drop: [ALL]}\npipeline: [{runs: "true"}]\n`;
  expect((await readRecipe(file("good.yaml", good), { arch: "x86_64" })).kind).toBe("compiled");
});
