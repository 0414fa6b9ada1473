import type { Architecture } from "./architecture.ts";
import { workspace } from "./compile-steps.ts";
import { packageVariables, suggestVariable, transformVariables } from "./expand.ts";
import type { ReplaceAll } from "./go-regexp.ts";
import { type Budget, limits, refuseBeyond } from "./limits.ts";
import type { RecipeSource } from "./schema.ts";
import type { Problems } from "./source.ts";
import { layered, substituteText, type Variables } from "./variables.ts";

export interface VariableOptions {
  readonly architecture: Architecture;
  readonly libc: "gnu" | "musl";
  /** The build options that were chosen. */
  readonly buildOptions: readonly string[];
}

export const outputDirectory = `${workspace}/melange-out`;

/** Where a package's files are collected. */
export function packageDirectory(name: string): string {
  return `${outputDirectory}/${name}`;
}

/** The variables of the compile pass that hold in the main pipeline and its test; inputs come on top. */
export function mainVariables(
  recipe: RecipeSource,
  options: VariableOptions,
  replaceAll: ReplaceAll,
  problems: Problems,
  budget: Budget,
): Variables {
  const name = recipe.package.name.value;
  const { architecture, libc } = options;
  const variables = new Map(packageVariables(recipe));
  for (const [key, value] of resolveVars(recipe, problems)) variables.set(`vars.${key}`, value);
  transformVariables(recipe["var-transforms"], variables, replaceAll, problems, budget);
  const fixed: Readonly<Record<string, string>> = {
    "package.srcdir": workspace,
    "targets.outdir": outputDirectory,
    "targets.destdir": packageDirectory(name),
    "targets.contextdir": packageDirectory(name),
    "context.name": name,
    "host.triplet.gnu": architecture.gnuTriplet(libc),
    "host.triplet.rust": architecture.rustTriplet(libc),
    "cross.triplet.gnu.glibc": architecture.gnuTriplet("gnu"),
    "cross.triplet.gnu.musl": architecture.gnuTriplet("musl"),
    "cross.triplet.rust.glibc": architecture.rustTriplet("gnu"),
    "cross.triplet.rust.musl": architecture.rustTriplet("musl"),
    "build.arch": architecture.arch,
    "build.goarch": architecture.goarch,
  };
  for (const [key, value] of Object.entries(fixed)) variables.set(key, value);
  for (const each of [name, ...recipe.subpackages.map((subpackage) => subpackage.name.value)]) {
    variables.set(`targets.package.${each}`, packageDirectory(each));
  }
  for (const option of recipe.options.keys()) {
    variables.set(`options.${option}.enabled`, String(options.buildOptions.includes(option)));
  }
  return variables;
}

/** What is different inside a subpackage. */
export function subpackageVariables(main: Variables, name: string): Variables {
  const own = new Map([
    ["subpkg.name", name],
    ["context.name", name],
    ["targets.subpkgdir", packageDirectory(name)],
    ["targets.contextdir", packageDirectory(name)],
  ]);
  return layered(main, own);
}

/** `vars` may refer to each other, in any order, and to nothing else. */
function resolveVars(recipe: RecipeSource, problems: Problems): ReadonlyMap<string, string> {
  const resolved = new Map<string, string>();
  const open: string[] = [];
  const hint = suggestVariable({ keys: () => [...recipe.vars.keys()].map((name) => `vars.${name}`) });

  function resolve(name: string): string | undefined {
    const source = recipe.vars.get(name);
    if (!source) return undefined;
    const known = resolved.get(name);
    if (known !== undefined) return known;
    if (open.includes(name)) {
      problems.error(`the variable "vars.${name}" refers to itself: ${[...open, name].join(" → ")}`, source.place);
      return "";
    }
    if (open.length >= limits.depth)
      refuseBeyond(
        `variables refer to each other more than ${limits.depth} deep`,
        source.place,
        "Give the value itself.",
      );
    open.push(name);
    const refer = (each: string) => (each.startsWith("vars.") ? resolve(each.slice("vars.".length)) : undefined);
    const value = substituteText(source, refer, problems, {
      hint: (each) => hint(each) ?? "In vars only other vars are known; use var-transforms for package.*.",
    });
    open.pop();
    resolved.set(name, value);
    return value;
  }

  for (const name of recipe.vars.keys()) resolve(name);
  return resolved;
}
