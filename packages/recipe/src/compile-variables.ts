import type { Architecture } from "./architecture.ts";
import { workspace } from "./compile-steps.ts";
import type { RecipeSource } from "./schema.ts";
import { layered, type Variables } from "./variables.ts";

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
export function mainVariables(recipe: RecipeSource, known: Variables, options: VariableOptions): Variables {
  const name = recipe.package.name.value;
  const { architecture, libc } = options;
  const own = new Map([
    ["package.srcdir", workspace],
    ["targets.outdir", outputDirectory],
    ["targets.destdir", packageDirectory(name)],
    ["targets.contextdir", packageDirectory(name)],
    ["context.name", name],
    ["host.triplet.gnu", architecture.gnuTriplet(libc)],
    ["host.triplet.rust", architecture.rustTriplet(libc)],
    ["cross.triplet.gnu.glibc", architecture.gnuTriplet("gnu")],
    ["cross.triplet.gnu.musl", architecture.gnuTriplet("musl")],
    ["cross.triplet.rust.glibc", architecture.rustTriplet("gnu")],
    ["cross.triplet.rust.musl", architecture.rustTriplet("musl")],
    ["build.arch", architecture.arch],
    ["build.goarch", architecture.goarch],
  ]);
  for (const each of [name, ...recipe.subpackages.map((subpackage) => subpackage.name.value)]) {
    own.set(`targets.package.${each}`, packageDirectory(each));
  }
  for (const option of recipe.options.keys()) own.set(`options.${option}.enabled`, "false");
  for (const option of options.buildOptions) own.set(`options.${option}.enabled`, "true");
  return layered(withoutDescription(known), own);
}

/** A description is known while the recipe is read only. */
function withoutDescription(known: Variables): Variables {
  const description = "package.description";
  return {
    get: (name) => (name === description ? undefined : known.get(name)),
    *keys() {
      for (const name of known.keys()) if (name !== description) yield name;
    },
  };
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
