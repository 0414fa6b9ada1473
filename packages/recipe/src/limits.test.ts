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
      "aliases that multiply",
      `${head}vars:\n  a: &a [x,x,x,x,x,x,x,x,x]\n${repeated(7, (i) => `  ${"bcdefgh"[i]}: &${"bcdefgh"[i]} [${`*${"abcdefg"[i]},`.repeat(9)}]\n`)}`,
      /values|alias/,
      3,
    ],
    ["characters", `# ${"x".repeat(5 * 1024 * 1024)}\n${head}`, /more than 4194304 characters/, 1],
  ];

  it.each(cases)("%s", async (what, text, says, line) => {
    const started = Date.now();
    const error = await refusal(file("case.yaml", text));
    expect(error.code, what).toBe("recipe");
    expect([error.message, ...error.problems.map(({ message }) => message)].join("\n")).toMatch(says);
    expect(error.location?.line).toBeLessThanOrEqual(line + 8);
    expect(error.location?.line).toBeGreaterThanOrEqual(line);
    expect(error.location?.file).toContain("case.yaml");
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
