export interface Manifest {
  name: string;
  version: string;
  license?: string;
  type?: string;
  private?: boolean;
  engines?: Record<string, string>;
  exports?: Record<string, string | Record<string, string>>;
  files?: readonly string[];
  publishConfig?: { access?: string; exports?: Manifest["exports"] };
  scripts?: Record<string, string>;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  [field: string]: unknown;
}

/** The fields a manifest may have, in the order it has them. */
const fields = [
  ...["name", "version", "description", "keywords", "license", "repository", "type", "sideEffects", "engines", "bin"],
  ...["exports", "files", "publishConfig", "scripts", "oclif", "melange2"],
  ...["dependencies", "optionalDependencies", "peerDependencies", "peerDependenciesMeta", "devDependencies"],
];
const required = ["name", "version", "description", "license", "type", "engines", "exports", "files", "publishConfig"];
const dependencyFields = ["dependencies", "optionalDependencies", "devDependencies"] as const;

/** The condition that leads to sources; it works in this workspace only and must not be published. */
const sourceCondition = "melange2-source";

/** Where a public package's manifest departs from the shape that all of them have; empty when nowhere. */
export function checkManifest(manifest: Manifest): string[] {
  return [
    ...checkFields(manifest),
    ...checkValues(manifest),
    ...checkExports(manifest),
    ...checkDependencies(manifest),
  ];
}

function checkFields(manifest: Manifest): string[] {
  const present = Object.keys(manifest);
  const unknown = present.filter((field) => !fields.includes(field)).map((field) => `unknown field ${field}`);
  const lacking = required.filter((field) => !present.includes(field)).map((field) => `lacks ${field}`);
  const ordered = fields.filter((field) => present.includes(field));
  const known = present.filter((field) => fields.includes(field));
  const first = known.findIndex((field, index) => field !== ordered[index]);
  return [...unknown, ...lacking, ...(first < 0 ? [] : [`${known[first]} where ${ordered[first]} should be`])];
}

function checkValues(manifest: Manifest): string[] {
  const problems: string[] = [];
  const expect = (what: string, is: unknown, wanted: unknown): void => {
    if (JSON.stringify(is) !== JSON.stringify(wanted)) {
      problems.push(`${what} is ${JSON.stringify(is)} and should be ${JSON.stringify(wanted)}`);
    }
  };
  expect("license", manifest.license, "Apache-2.0");
  expect("type", manifest.type, "module");
  expect("engines", manifest.engines, { node: ">=22" });
  expect("publishConfig.access", manifest.publishConfig?.access, "public");
  expect("files: dist", manifest.files?.includes("dist"), true);
  expect("scripts.build is there", manifest.scripts?.build !== undefined, true);
  return problems;
}

function checkExports({ exports = {}, publishConfig }: Manifest): string[] {
  const problems: string[] = [];
  if (exports["./package.json"] !== "./package.json") problems.push("exports lacks ./package.json");
  const published: Record<string, unknown> = {};
  let sources = false;
  for (const [path, target] of Object.entries(exports)) {
    if (typeof target === "string") {
      published[path] = target;
      continue;
    }
    const { [sourceCondition]: source, ...rest } = target;
    published[path] = rest;
    sources ||= source !== undefined;
    const order = Object.keys(target).join(", ");
    if (order !== `${sourceCondition}, types, default`) {
      problems.push(`exports["${path}"] has ${order} and should have ${sourceCondition}, types, default`);
    }
  }
  const wanted = sources ? published : undefined;
  if (JSON.stringify(publishConfig?.exports) !== JSON.stringify(wanted)) {
    problems.push(`publishConfig.exports should be exports without ${sourceCondition}: ${JSON.stringify(wanted)}`);
  }
  return problems;
}

function checkDependencies(manifest: Manifest): string[] {
  return dependencyFields.flatMap((field) => {
    const entries = Object.entries(manifest[field] ?? {});
    const names = entries.map(([name]) => name);
    const sorted = names.toSorted();
    const unsorted = names.some((name, index) => name !== sorted[index]) ? [`${field} are not sorted by name`] : [];
    const inexact = entries
      .filter(([name, version]) => !(isWorkspace(name) ? version === "workspace:*" : /^\d+\.\d+\.\d+/.test(version)))
      .map(
        ([name, version]) =>
          `${field}: ${name} is ${version} and should be ${isWorkspace(name) ? "workspace:*" : "exact"}`,
      );
    return [...unsorted, ...inexact];
  });
}

const isWorkspace = (name: string): boolean => /^@melange2(-tooling)?\/|^melange2$/.test(name);
