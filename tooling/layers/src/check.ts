import { posix } from "node:path";
import { contributionsOf, namedContributions } from "./contribution-names.ts";
import { type Reference, readReferences } from "./imports.ts";
import { type Rule, rules, sets } from "./rules.ts";
import type { Manifest, SourceFile, WorkspacePackage } from "./workspace.ts";

const scope = "@melange2/";
const toolingScope = "@melange2-tooling/";

/** Every place where the workspace breaks its layers, each as `file:line: what is wrong`. */
export function checkLayers(workspace: readonly WorkspacePackage[], table = rules): string[] {
  const byName = new Map(workspace.map((each) => [each.manifest.name, each]));
  const contributions = contributionsOf(workspace);
  return [
    ...workspace.flatMap((each) => [
      ...checkPackage(each, byName, table),
      ...namedContributions(each, table[each.manifest.name] ?? {}, contributions),
    ]),
    ...findCycles(byName),
  ];
}

function checkPackage(
  { folder, manifest, files }: WorkspacePackage,
  workspace: ReadonlyMap<string, WorkspacePackage>,
  table: Readonly<Record<string, Rule>>,
): string[] {
  const published = !manifest.name.startsWith(toolingScope);
  const rule = table[manifest.name];
  const manifestFile = `${folder}/package.json`;
  if (published && rule === undefined) {
    return [`${manifestFile}: ${manifest.name} has no rule in tooling/layers/src/rules.ts`];
  }
  const problems: string[] = [];
  const shippedDependencies = namesIn(manifest, ["dependencies", "optionalDependencies", "peerDependencies"]);
  if (rule !== undefined) {
    for (const name of shippedDependencies) {
      const broken = brokenRule(manifest.name, rule, name);
      if (broken) problems.push(`${manifestFile}: depends on ${name}: ${broken}`);
    }
  }
  for (const file of files) {
    const { imports, globals } = readReferences(file.text);
    const where = ({ line }: Reference): string => `${file.path}:${line}`;
    if (file.shipped && rule !== undefined) {
      for (const reference of [...imports, ...globals]) {
        const broken = brokenRule(manifest.name, rule, reference.name);
        if (broken) problems.push(`${where(reference)}: imports ${reference.name}: ${broken}`);
      }
    }
    for (const reference of imports) {
      const wrong =
        reachesInside(file, folder, reference.name, workspace) ?? undeclared(file, manifest, reference.name, published);
      if (wrong) problems.push(`${where(reference)}: imports ${reference.name}: ${wrong}`);
    }
  }
  return problems;
}

/** What forbids that the package `owner` imports `module` in what it ships. */
function brokenRule(owner: string, rule: Rule, module: string): string | undefined {
  const short = shortName(owner);
  const target = packageOf(module);
  if (target === owner) return undefined;
  if (target?.startsWith(toolingScope)) return "tooling ships nothing";
  if (rule.only !== undefined && target?.startsWith(scope) && !rule.only.includes(shortName(target))) {
    return `${short} may import ${rule.only.length === 0 ? "no other workspace package" : `only ${rule.only.join(", ")}`}`;
  }
  const set = rule.never?.find((name) => (name in sets ? sets[name]?.test(module) : target === scope + name));
  return set === undefined ? undefined : `${short} must never import ${set}`;
}

/** Whether an import passes by the front door of the package it leads into. */
function reachesInside(
  file: SourceFile,
  folder: string,
  module: string,
  workspace: ReadonlyMap<string, WorkspacePackage>,
): string | undefined {
  if (module.startsWith(".")) {
    const target = posix.join(posix.dirname(file.path), module);
    const inside = target === folder || target.startsWith(`${folder}/`);
    return inside || !/^(packages|apps)\//.test(target) ? undefined : "leads into another package's folder";
  }
  const name = packageOf(module);
  const target = name === undefined ? undefined : workspace.get(name);
  if (target === undefined || name === undefined) return undefined;
  const door = `.${module.slice(name.length)}`;
  return door in (target.manifest.exports ?? {}) ? undefined : `${name} does not export ${door}`;
}

/** Whether the manifest says that the package needs the module: in what it ships, or, for tests, at all. */
function undeclared(file: SourceFile, manifest: Manifest, module: string, published: boolean): string | undefined {
  const name = packageOf(module);
  if (name === undefined || name === manifest.name || !(file.shipped && published)) return undefined;
  const declared = namesIn(manifest, ["dependencies", "optionalDependencies", "peerDependencies"]);
  return declared.includes(name) ? undefined : "not among the dependencies of its package.json";
}

type DependencyField = "dependencies" | "optionalDependencies" | "peerDependencies" | "devDependencies";

const namesIn = (manifest: Manifest, fields: readonly DependencyField[]): string[] =>
  fields.flatMap((field) => Object.keys(manifest[field] ?? {}));

const shortName = (name: string): string => name.replace(scope, "");

/** The package that a module name leads into; undefined for relative paths, Node's own modules and names of globals. */
function packageOf(module: string): string | undefined {
  if (/^(\.|node:|#|process\.env$)/.test(module)) return undefined;
  const [first = "", second] = module.split("/");
  return first.startsWith("@") ? `${first}/${second}` : first;
}

/** The cycles of the workspace's dependencies, those for development included: turbo refuses to build them. */
function findCycles(workspace: ReadonlyMap<string, WorkspacePackage>): string[] {
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (name: string, path: readonly string[]): void => {
    const start = path.indexOf(name);
    if (start >= 0) cycles.push(`dependency cycle: ${[...path.slice(start), name].join(" -> ")}`);
    const manifest = workspace.get(name)?.manifest;
    if (start >= 0 || done.has(name) || manifest === undefined) return;
    for (const next of namesIn(manifest, [
      "dependencies",
      "devDependencies",
      "peerDependencies",
      "optionalDependencies",
    ])) {
      visit(next, [...path, name]);
    }
    done.add(name);
  };
  for (const name of workspace.keys()) visit(name, []);
  return cycles;
}
