import { type Constraint, satisfies } from "./constraint.ts";
import type { Rules } from "./rules.ts";
import { type Chain, Unfulfilled } from "./unfulfilled.ts";
import type { Candidate } from "./universe.ts";
import { parseVersion, type Version } from "./version.ts";

/** Packages that were taken and have dependencies, by each name that they have: nobody else may have one of those. */
export class Selection {
  readonly #rules: Rules;
  readonly #byName = new Map<string, Candidate>();

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  /** Whether a package selected before fulfils the constraint. Throws {@link Unfulfilled} where one has the name and does not. */
  fulfils(constraint: Constraint, chain: Chain): boolean {
    const selected = this.#byName.get(constraint.name);
    if (!selected) return false;
    if (constraint.version === "" || this.#fits(selected, constraint)) return true;
    throw new Unfulfilled("selected", chain, [{ candidate: selected, rejection: { kind: "unfit" } }]);
  }

  /** Notes a package. Throws {@link Unfulfilled} where another one has one of its names. `chain` leads to the package. */
  add(candidate: Candidate, chain: Chain): void {
    const before = this.#byName.get(candidate.name);
    if (before === candidate) return;
    if (before) throw second(before, candidate.name, candidate, chain);
    this.#byName.set(candidate.name, candidate);
    for (const { name, version } of candidate.provides) {
      const holder = this.#byName.get(name);
      // To apko, a package that provides its own name, or one name twice, conflicts with itself.
      if (holder && (holder !== candidate || this.#rules === "apko")) throw second(holder, name, candidate, chain);
      if (version !== "") this.#byName.set(name, candidate);
    }
  }

  #fits(selected: Candidate, { name, operator, version }: Constraint): boolean {
    const wanted = parseVersion(version);
    if (operator === "any") return true;
    if (!wanted) return this.#rules === "extended" && selected.record.version === version;
    const fits = (actual: Version | undefined, by: Constraint["operator"]) =>
      actual !== undefined && satisfies(actual, by, wanted);
    // apko goes by the provide's operator, `=`, so that nothing but 9 itself fulfils `>=9` here.
    return (
      fits(selected.version, operator) ||
      selected.provides.some(
        (provide) =>
          provide.name === name &&
          provide.version !== "" &&
          fits(parseVersion(provide.version), this.#rules === "apko" ? provide.operator : operator),
      )
    );
  }
}

function second(holder: Candidate, name: string, candidate: Candidate, chain: Chain): Unfulfilled {
  return new Unfulfilled("second", chain, [{ candidate, rejection: { kind: "taken", name, by: holder } }]);
}
