import type { Problem, User } from "@melange2/core";
import type { CompiledStep } from "./compile-steps.ts";
import type { EnvironmentRequest } from "./environment-request.ts";
import type { Recipe } from "./parse-recipe.ts";

/** A recipe compiled for one architecture: plain data, from which the plans of builds and tests derive. */
export interface CompiledRecipe {
  readonly kind: "compiled";
  /** As the caller named it: a path. */
  readonly file: string;
  readonly text: string;
  /** apk name. */
  readonly arch: string;
  /** The recipe with its build options applied, its pipelines as written. */
  readonly recipe: Recipe;
  /** Where the packages are built. */
  readonly environment: CompiledEnvironment;
  /** The main package first, then all subpackages in order, those that are not included among them. */
  readonly packages: readonly CompiledPackage[];
  readonly warnings: readonly Problem[];
  /** What keeps the packages from being built, though the recipe compiles: a version that apk cannot compare, `paths`. */
  readonly refusals: readonly Problem[];
}

/** The recipe is not for this architecture, so that there is nothing to build. */
export interface SkippedRecipe {
  readonly kind: "skipped";
  readonly reason: string;
  readonly warnings: readonly Problem[];
}

/** A package that the recipe makes. */
export interface CompiledPackage {
  readonly name: string;
  /** Its metadata as the recipe says it, with the keys of the YAML. */
  readonly source: PackageData;
  /** Whether it is built: false where the condition of a subpackage is false. */
  readonly included: boolean;
  /** Where its files are collected: `/home/build/melange-out/NAME`. */
  readonly directory: string;
  readonly steps: readonly CompiledStep[];
  readonly test: CompiledTest | undefined;
}

/** The main package has more keys than a subpackage, and no condition. */
export type PackageData =
  | ({ readonly kind: "package" } & Recipe["package"])
  | ({ readonly kind: "subpackage" } & Recipe["subpackages"][number]);

export interface CompiledTest {
  readonly environment: CompiledEnvironment;
  readonly steps: readonly CompiledStep[];
  /** As {@link CompiledRecipe.refusals}, for this test. */
  readonly refusals: readonly Problem[];
}

/** An environment with its defaults and accounts. */
export interface CompiledEnvironment {
  /** Its section of the recipe. */
  readonly source: Recipe["environment"];
  readonly request: EnvironmentRequest;
  /** Who the steps run as. */
  readonly user: User;
}
