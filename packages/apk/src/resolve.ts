import { parseConstraint } from "./constraint.ts";
import { ApkError } from "./error.ts";
import { type Explanation, explain, formatExplanation } from "./explanation.ts";
import { printable } from "./printable.ts";
import { type Chosen, chooseAll } from "./resolution.ts";
import type { Rules } from "./rules.ts";
import { Unfulfilled } from "./unfulfilled.ts";
import type { Candidate, Universe } from "./universe.ts";

/** The packages for a world, in the order in which they are to be installed. */
export interface Resolved extends Chosen {
  /** "extended": apko cannot resolve this world, see docs/compatibility.md. */
  readonly rules: Rules;
}

export interface ResolvedEnvironment extends Resolved {
  /** What `/etc/apk/world` holds: the whole list as `NAME=VERSION`, sorted. */
  readonly locked: readonly string[];
  /** Entries of the world that do not do what their writer may think, a sentence each. */
  readonly warnings: readonly string[];
}

/** No set of packages fulfils a world. */
export class UnresolvableError extends ApkError {
  readonly explanation: Explanation;

  constructor(explanation: Explanation) {
    super("unresolvable", formatExplanation(explanation), { hint: explanation.hint });
    this.name = "UnresolvableError";
    this.explanation = explanation;
  }
}

/**
 * The packages for the world's entries, in the world's order, as apko chooses them. A world that apko cannot resolve is resolved by the
 * extended rules, unless `rules` is "apko". Throws {@link UnresolvableError}.
 */
export function resolve(universe: Universe, world: readonly string[], rules: Rules = "extended"): Resolved {
  try {
    return { ...chooseAll(universe, world, "apko"), rules: "apko" };
  } catch (error) {
    if (!(error instanceof Unfulfilled)) throw error;
    if (rules === "apko") throw new UnresolvableError(explain(error, universe));
  }
  try {
    return { ...chooseAll(universe, world, "extended"), rules };
  } catch (error) {
    throw error instanceof Unfulfilled ? new UnresolvableError(explain(error, universe)) : error;
  }
}

/**
 * The packages of an environment. As apko does it, the configured packages are resolved, sorted and without duplicates; the list that comes of
 * it, each with its version, is resolved again, and that second order is the order of installation. Throws {@link UnresolvableError}.
 */
export function resolveEnvironment(
  universe: Universe,
  packages: readonly string[],
  rules: Rules = "extended",
): ResolvedEnvironment {
  const world = sorted(packages);
  const first = resolve(universe, world, rules);
  const locked = lock(first.packages, world);
  const warnings = world.flatMap(warningsAbout);
  const exclusions = first.rules === "apko" ? [] : world.filter((entry) => entry.startsWith("!"));
  try {
    const second = resolve(universe, [...exclusions, ...locked], rules);
    return { ...second, rules: first.rules === "apko" ? second.rules : first.rules, locked, warnings };
  } catch (error) {
    // To apko, what was chosen is lost here. A tag, for one, is kept for the configured names only, and no dependency may use it any more.
    if (rules === "apko" || !(error instanceof UnresolvableError)) throw error;
    return { ...first, rules, locked, warnings };
  }
}

/** `NAME=VERSION` of each package, with the tag where the world has one for the name. Sorted. */
export function lock(packages: readonly Candidate[], world: readonly string[]): string[] {
  const tags = new Map(world.map(parseConstraint).map(({ name, tag }) => [name, tag]));
  return sorted(
    packages.map(({ name, record }) => {
      const tag = tags.get(name) ?? "";
      return `${name}=${record.version}${tag === "" ? "" : `@${tag}`}`;
    }),
  );
}

function sorted(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort((a, b) => (a < b ? -1 : 1));
}

function warningsAbout(entry: string): string[] {
  const { name, meaningless } = parseConstraint(entry);
  if (meaningless === undefined) return [];
  return [`${printable(entry)} asks for any version of ${printable(name)}: ${meaningless} is no operator of apk's.`];
}
