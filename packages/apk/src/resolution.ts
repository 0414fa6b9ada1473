import { type Constraint, parseConstraint, satisfies } from "./constraint.ts";
import { constrain, type Exclusions, excludeRivals } from "./exclusion.ts";
import { fitting, rejectionOf, type Tags } from "./filter.ts";
import { installIf } from "./install-if.ts";
import { best, type Context } from "./preference.ts";
import { Disqualified } from "./rejection.ts";
import type { Rules } from "./rules.ts";
import { Selection } from "./selection.ts";
import { type Chain, Unfulfilled } from "./unfulfilled.ts";
import type { Candidate, Universe } from "./universe.ts";
import { parseVersion } from "./version.ts";

/** What was chosen. */
export interface Chosen {
  /** In the order in which they are to be installed. */
  readonly packages: readonly Candidate[];
  /** Names that a chosen package wants not to be there, as apko lists them. */
  readonly conflicts: readonly string[];
}

/** A constraint at hand, and who may fulfil it. */
interface Choice {
  readonly constraint: Constraint;
  readonly candidates: readonly Candidate[];
  readonly chain: Chain;
}

/** What draws the choices within one entry of the world; learns as they are made. */
interface Learning extends Context {
  readonly existing: Map<string, Candidate>;
  readonly origins: Map<string, string>;
}

/** Where in a world a package's dependencies are resolved. */
interface Within {
  /** Names of the packages that led here: a circle ends at them. */
  readonly parents: readonly string[];
  /** The tag of the entry that led here. */
  readonly allowed: string;
  readonly chain: Chain;
  readonly learning: Learning;
  /** What was found. */
  readonly needed: Candidate[];
  readonly conflicts: Set<string>;
}

/** Resolves a world by the steps of apko's resolver, which never goes back on a choice. Throws {@link Unfulfilled}. */
export function chooseAll(universe: Universe, world: readonly string[], rules: Rules): Chosen {
  return new Resolution(universe, world, rules).run(world);
}

class Resolution {
  readonly #exclusions: Exclusions;
  readonly #selection: Selection;
  /** By the extended rules, a package that the world asks for with a tag may be taken from there by whoever else needs it. */
  readonly #tags: ReadonlyMap<string, string>;

  constructor(universe: Universe, world: readonly string[], rules: Rules) {
    this.#exclusions = { universe, rules, disqualified: new Disqualified() };
    this.#selection = new Selection(rules);
    const tagged = rules === "extended" ? world.map(parseConstraint).filter(({ tag }) => tag !== "") : [];
    this.#tags = new Map(tagged.map(({ name, tag }) => [name, tag]));
  }

  run(world: readonly string[]): Chosen {
    constrain(this.#exclusions, world);
    // apko looks for a package that is called `!name`, and never finds one.
    const entries = this.#exclusions.rules === "apko" ? world : world.filter((text) => !text.startsWith("!"));
    const chosen = this.#chooseEntries(entries);
    const result = new Map<string, Candidate>();
    const conflicts = new Set<string>();
    const isWelcome = (candidate: Candidate) => !this.#isUnwanted(candidate);
    for (const entry of entries) {
      const { constraint, candidates, chain } = this.#entryChoice(entry);
      const top = best(candidates, constraint.name, undecided(constraint)) as Candidate;
      const learning = { existing: new Map(chosen), origins: originsOf(chosen.values()), tag: "" };
      const needed: Candidate[] = [];
      this.#dependencies(top, { parents: [], allowed: constraint.tag, chain, learning, needed, conflicts });
      for (const candidate of [...installIf(this.#exclusions.universe, needed, isWelcome), top]) {
        if (!result.has(candidate.name)) result.set(candidate.name, candidate);
        if (!chosen.has(candidate.name)) chosen.set(candidate.name, candidate);
      }
    }
    return { packages: [...result.values()], conflicts: [...conflicts] };
  }

  /** A package for each entry of the world, those with the fewest candidates first. */
  #chooseEntries(world: readonly string[]): Map<string, Candidate> {
    const chosen = new Map<string, Candidate>();
    let open = world;
    while (open.length > 0) {
      const choices = open.map((entry) => this.#entryChoice(entry));
      const next = choices.reduce((a, b) => (b.candidates.length < a.candidates.length ? b : a));
      const { name, text } = next.constraint;
      const candidate = best(next.candidates, name, undecided(next.constraint)) as Candidate;
      chosen.set(candidate.name, candidate);
      open = open.filter((entry) => entry !== text);
      excludeRivals(this.#exclusions, candidate);
    }
    return chosen;
  }

  /** Whether a `!name` keeps the package out of what comes by itself, too; to apko it does not. */
  #isUnwanted(candidate: Candidate): boolean {
    const { rules, disqualified } = this.#exclusions;
    return rules === "extended" && disqualified.reason(candidate)?.kind === "excluded";
  }

  #entryChoice(entry: string): Choice {
    const chain = { requirer: { candidate: undefined, dependency: entry }, before: undefined };
    return this.#choice(parseConstraint(entry), chain, { allowed: "" });
  }

  /** Adds to `needed` what a package needs, dependencies before those that need them. */
  #dependencies(parent: Candidate, within: Within): void {
    if (within.parents.includes(parent.name)) return;
    constrain(this.#exclusions, parent.record.depends, parent, within.chain);
    const below = { ...within, parents: [...within.parents, parent.name] };
    let open = parent.record.depends;
    for (;;) {
      const choices = this.#openChoices(parent, open, within);
      const next = mostConstrained(choices);
      if (!next) return;
      const found = best(next.candidates, next.constraint.name, within.learning) as Candidate;
      excludeRivals(this.#exclusions, found);
      this.#selection.add(parent, within.chain);
      const needed: Candidate[] = [];
      this.#dependencies(found, { ...below, chain: next.chain, needed });
      within.needed.push(...needed, found);
      for (const candidate of needed) {
        within.learning.existing.set(candidate.name, candidate);
        within.learning.origins.set(candidate.record.origin, candidate.record.version);
      }
      open = choices.filter((choice) => choice !== next).map((choice) => choice.constraint.text);
    }
  }

  /** The dependencies that are still to be fulfilled; `!name` ones are noted as conflicts. */
  #openChoices(parent: Candidate, open: readonly string[], within: Within): Choice[] {
    const choices: Choice[] = [];
    for (const text of new Set(open)) {
      if (text.startsWith("!")) {
        within.conflicts.add(text.slice(1));
        continue;
      }
      const constraint = parseConstraint(text);
      const chain = { requirer: { candidate: parent, dependency: text }, before: within.chain };
      if (fulfilsItself(parent, constraint) || this.#selection.fulfils(constraint, chain)) continue;
      const installed = within.learning.existing.get(constraint.name);
      choices.push(this.#choice(constraint, chain, { allowed: within.allowed, installed }));
    }
    return choices;
  }

  #choice(constraint: Constraint, chain: Chain, given: Tags): Choice {
    const tags = { ...given, byName: this.#tags };
    const { universe, disqualified } = this.#exclusions;
    const all = universe.named(constraint.name);
    const candidates = fitting(all, constraint, disqualified, tags);
    if (candidates.length > 0) return { constraint, candidates, chain };
    const rejected = [...new Set(all)].flatMap((candidate) => {
      const rejection = rejectionOf(candidate, constraint, disqualified, tags);
      return rejection ? [{ candidate, rejection }] : [];
    });
    throw new Unfulfilled(all.length === 0 ? "unknown" : "rejected", chain, rejected);
  }
}

/** Entries of the world are chosen as if nothing was decided. */
function undecided({ tag }: Constraint): Context {
  return { existing: new Map(), origins: new Map(), tag };
}

function originsOf(candidates: Iterable<Candidate>): Map<string, string> {
  return new Map([...candidates].map(({ record }) => [record.origin, record.version]));
}

/** The choice with the fewest candidates; of several the one with the smallest text. */
function mostConstrained(choices: readonly Choice[]): Choice | undefined {
  let found = choices[0];
  for (const choice of choices) {
    const fewer = choice.candidates.length - (found as Choice).candidates.length;
    if (fewer < 0 || (fewer === 0 && choice.constraint.text < (found as Choice).constraint.text)) found = choice;
  }
  return found;
}

/** Whether a package provides what it asks for, by the same text or name, or is itself what it asks for. */
function fulfilsItself(candidate: Candidate, { text, name, operator, version }: Constraint): boolean {
  if (candidate.provides.some((provide) => provide.text === text || provide.name === name)) return true;
  if (candidate.name !== name) return false;
  if (operator === "any") return true;
  const wanted = parseVersion(version);
  return candidate.version !== undefined && wanted !== undefined && satisfies(candidate.version, operator, wanted);
}
