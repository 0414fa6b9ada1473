import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { checkLayers } from "./check.ts";
import { rules } from "./rules.ts";
import { type Manifest, readWorkspace, type WorkspacePackage } from "./workspace.ts";

const repositoryRoot = resolve(import.meta.dirname, "../../..");

describe("this workspace", () => {
  const workspace = readWorkspace(repositoryRoot);

  test("keeps its layers", () => {
    expect(checkLayers(workspace)).toEqual([]);
  });

  test("has every package that there is a rule for", () => {
    const names = workspace.map(({ manifest }) => manifest.name);
    expect(Object.keys(rules).filter((name) => !names.includes(name))).toEqual([]);
  });

  test("is read at all", () => {
    const core = workspace.find(({ manifest }) => manifest.name === "@melange2/core");
    expect(core?.files.some(({ path, shipped }) => path === "packages/core/src/index.ts" && shipped)).toBe(true);
  });
});

function workspacePackage(
  name: string,
  text: string,
  manifest: Partial<Manifest> = {},
  file = "src/index.ts",
): WorkspacePackage {
  const folder = `packages/${name.replace("@melange2/", "")}`;
  const shipped = !file.endsWith(".test.ts");
  return {
    folder,
    manifest: { name, exports: { ".": "./src/index.ts" }, ...manifest },
    files: [{ path: `${folder}/${file}`, text, shipped }],
  };
}

const core = workspacePackage("@melange2/core", "");
const oci = workspacePackage("@melange2/oci", "");
const engine = workspacePackage("@melange2/engine-local", "");
const on = (...names: string[]): Partial<Manifest> => ({
  dependencies: Object.fromEntries(names.map((name) => [name, "workspace:*"])),
});

describe("a forbidden import", () => {
  test.each([
    ["static", 'import { a } from "@melange2/engine-local";'],
    ["of a type", 'import type { A } from "@melange2/engine-local";'],
    ["dynamic", 'const a = await import("@melange2/engine-local");'],
    ["in a type", 'type A = import("@melange2/engine-local").A;'],
    ["by a re-export", 'export { a } from "@melange2/engine-local";'],
  ])("%s is named with file, line and rule", (_, statement) => {
    const text = `// "@melange2/engine-local" in a comment is none\nconst s = 'import "@melange2/engine-local"';\n${statement}\n`;
    const recipe = workspacePackage("@melange2/recipe", text, on("@melange2/engine-local"));
    expect(checkLayers([recipe, engine])).toEqual([
      "packages/recipe/package.json: depends on @melange2/engine-local: recipe must never import engines",
      "packages/recipe/src/index.ts:3: imports @melange2/engine-local: recipe must never import engines",
    ]);
  });

  test("in a test is none", () => {
    const recipe = workspacePackage("@melange2/recipe", 'import "@melange2/engine-local";', {}, "src/index.test.ts");
    expect(checkLayers([recipe, engine])).toEqual([]);
  });
});

test.each([
  ['import "node:fs/promises";', "node:fs/promises", "files"],
  ['import "yaml";', "yaml", "third-party packages"],
  ['import net from "node:net";', "node:net", "network"],
  ["const home = process.env.HOME;", "process.env", "process.env"],
  ['await fetch("http://localhost");', "fetch", "network"],
])("core refuses %s", (text, module, set) => {
  const [first] = checkLayers([
    workspacePackage("@melange2/core", text, on(...(module === "yaml" ? ["yaml"] : []))),
  ]).slice(-1);
  expect(first).toBe(`packages/core/src/index.ts:1: imports ${module}: core must never import ${set}`);
});

test("environment refuses the network", () => {
  expect(checkLayers([workspacePackage("@melange2/environment", 'import "node:https";')])).toEqual([
    "packages/environment/src/index.ts:1: imports node:https: environment must never import network",
  ]);
});

test("a package that may import only some names them", () => {
  const records = workspacePackage("@melange2/records", 'import "@melange2/oci";', on("@melange2/oci"));
  expect(checkLayers([records, core, oci])).toContain(
    "packages/records/src/index.ts:1: imports @melange2/oci: records may import only core",
  );
});

test("another package's internals are refused, by name and by path", () => {
  const text = 'import "@melange2/core/src/error.ts";\nimport "../../core/src/error.ts";';
  const records = workspacePackage("@melange2/records", text, on("@melange2/core"));
  expect(checkLayers([records, core])).toEqual([
    "packages/records/src/index.ts:1: imports @melange2/core/src/error.ts: @melange2/core does not export ./src/error.ts",
    "packages/records/src/index.ts:2: imports ../../core/src/error.ts: leads into another package's folder",
  ]);
});

test("what is shipped may import only what its manifest depends on", () => {
  const recipe = workspacePackage("@melange2/recipe", 'import "yaml";', { devDependencies: { yaml: "2.9.1" } });
  expect(checkLayers([recipe])).toEqual([
    "packages/recipe/src/index.ts:1: imports yaml: not among the dependencies of its package.json",
  ]);
});

test("tooling is not shipped", () => {
  const recipe = workspacePackage("@melange2/recipe", "", on("@melange2-tooling/services"));
  expect(checkLayers([recipe])).toEqual([
    "packages/recipe/package.json: depends on @melange2-tooling/services: tooling ships nothing",
  ]);
});

test("a cycle is shown as a path, dependencies for development included", () => {
  const a = workspacePackage("@melange2/records", "", on("@melange2/core"));
  const b = workspacePackage("@melange2/core", "", { devDependencies: { "@melange2/records": "workspace:*" } });
  expect(checkLayers([a, b])).toContain("dependency cycle: @melange2/records -> @melange2/core -> @melange2/records");
});

test("a package without a rule is refused", () => {
  expect(checkLayers([workspacePackage("@melange2/new", "")])).toEqual([
    "packages/new/package.json: @melange2/new has no rule in tooling/layers/src/rules.ts",
  ]);
});

describe("the CLI names what plugins bring only among its defaults", () => {
  const plugins = ["engine-buildkit", "exporter-registry", "capture-two-phase"].map((name) => {
    const [kind = "", ...rest] = name.split("-");
    return workspacePackage(`@melange2/${name}`, "", { melange2: { [`${kind}s`]: { [rest.join("-")]: "./x.js" } } });
  });
  const problems = (text: string, file = "src/flags.ts") => {
    const manifest = on("@melange2/engine-buildkit");
    const cli = { ...workspacePackage("melange2", text, manifest, file), folder: "apps/cli" };
    const moved = { ...cli, files: cli.files.map((one) => ({ ...one, path: `apps/cli/${file}` })) };
    return checkLayers([...plugins, moved]).filter((problem) => problem.startsWith("apps/cli/src"));
  };

  test.each([
    ['const a = "buildkit";', "names the engine buildkit"],
    ['const a = { "buildkit-addr": 1 };', "names the engine buildkit"],
    ['const a = "Add --engine buildkit.";', "names the engine buildkit"],
    ['const a = "Choose --capture=two-phase for it";', "names the capture two-phase"],
    ['const a = "such as two-phase, which runs";', "names the capture two-phase"],
    ['import "@melange2/engine-buildkit";', "imports @melange2/engine-buildkit"],
  ])("%s", (text, what) => {
    expect(problems(text)).toEqual([`apps/cli/src/flags.ts:1: ${what}: only apps/cli/src/defaults.ts may`]);
    expect(problems(text, "src/defaults.ts")).toEqual([]);
  });

  test("and says words of that sound wherever they fit", () => {
    expect(problems('const a = "an image in a registry, or --export-opt command";')).toEqual([]);
  });
});
