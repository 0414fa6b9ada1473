import { readReferences, readTexts } from "./imports.ts";
import type { Rule } from "./rules.ts";
import type { WorkspacePackage } from "./workspace.ts";

interface Contribution {
  readonly kind: string;
  readonly name: string;
  readonly owner: string;
}

/** What the plugins of the workspace bring, by their manifests. */
export function contributionsOf(workspace: readonly WorkspacePackage[]): readonly Contribution[] {
  return workspace.flatMap(({ manifest }) =>
    ["engines", "exporters", "captures"].flatMap((kind) =>
      Object.keys((manifest.melange2?.[kind] as object | undefined) ?? {}).map((name) => ({
        kind: kind.replace(/s$/, ""),
        name,
        owner: manifest.name,
      })),
    ),
  );
}

/** Where shipped files of a package name a contribution, or import from its package, though only one file may. */
export function namedContributions(
  { folder, files }: WorkspacePackage,
  { namesIn }: Rule,
  contributions: readonly Contribution[],
): readonly string[] {
  if (namesIn === undefined) return [];
  return files
    .filter(({ path, shipped }) => shipped && path.startsWith(`${folder}/src/`) && path !== `${folder}/${namesIn}`)
    .flatMap(({ path, text }) => {
      const refused = (line: number, what: string) => `${path}:${line}: ${what}: only ${folder}/${namesIn} may`;
      const texts = readTexts(text);
      const { imports } = readReferences(text);
      return contributions.flatMap(({ kind, name, owner }) => [
        ...texts
          .filter((literal) => isNamed(name, literal.name))
          .map(({ line }) => refused(line, `names the ${kind} ${name}`)),
        ...imports
          .filter((module) => module.name === owner || module.name.startsWith(`${owner}/`))
          .map(({ line, name: module }) => refused(line, `imports ${module}`)),
      ]);
    });
}

/**
 * The text is the name, is an option of it (`buildkit-addr`), or gives it to a flag (`--engine=buildkit`, `--engine buildkit`). Names of several
 * words mean nothing else wherever they stand; one word may be part of a sentence ("an image in a registry").
 */
function isNamed(name: string, text: string): boolean {
  const whole = new RegExp(`^${name}($|-)`);
  const given = new RegExp(`--(engine|export-type|capture)[= ]${name}\\b`);
  const anywhere = new RegExp(`(^|[^a-z-])${name}($|[^a-z-])`);
  return whole.test(text) || given.test(text) || (name.includes("-") && anywhere.test(text));
}
