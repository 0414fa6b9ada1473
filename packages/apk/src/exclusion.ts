import { type Constraint, parseConstraint, satisfies } from "./constraint.ts";
import { fitting } from "./filter.ts";
import type { Disqualified, Requirer } from "./rejection.ts";
import type { Rules } from "./rules.ts";
import { type Chain, Unfulfilled } from "./unfulfilled.ts";
import type { Candidate, Universe } from "./universe.ts";
import { parseVersion } from "./version.ts";

/** What a resolution rules out as it goes. */
export interface Exclusions {
  readonly universe: Universe;
  readonly rules: Rules;
  readonly disqualified: Disqualified;
}

/**
 * Rules out, for the rest of the resolution, what the constraints do not take, wherever it is asked for. `candidate` and `chain` say who has
 * these constraints; neither: the world. Throws {@link Unfulfilled}.
 */
export function constrain(
  exclusions: Exclusions,
  constraints: readonly string[],
  candidate?: Candidate,
  chain?: Chain,
): void {
  for (const text of constraints) {
    const by: Requirer = { candidate, dependency: text };
    if (text.startsWith("!")) exclude(exclusions, parseConstraint(text.slice(1)), by);
    else keepFitting(exclusions, parseConstraint(text), { requirer: by, before: chain });
  }
}

/** Only one package may have a name; several may provide one as long as none gives it a version. */
export function excludeRivals({ universe, disqualified }: Exclusions, chosen: Candidate): void {
  for (const { name, version } of chosen.provides)
    for (const other of universe.named(name)) {
      if (other === chosen) continue;
      const isExclusive = version !== "" || other.name === name || isVersioned(other, name);
      if (isExclusive) disqualified.add(other, { kind: "taken", name, by: chosen });
    }
}

function exclude({ universe, disqualified }: Exclusions, constraint: Constraint, by: Requirer): void {
  const all = universe.named(constraint.name);
  for (const candidate of fitting(all, constraint, disqualified, { allowed: "" }))
    disqualified.add(candidate, { kind: "excluded", by });
}

function keepFitting({ universe, rules, disqualified }: Exclusions, constraint: Constraint, chain: Chain): void {
  const { name, operator, version } = constraint;
  const all = universe.named(name);
  if (operator === "any" || all.length === 0) return;
  const wanted = parseVersion(version);
  if (!wanted && rules === "apko") throw new Unfulfilled("no-version", chain, []);
  for (const candidate of all)
    for (const has of versionsAs(candidate, name)) {
      const actual = parseVersion(has);
      if (wanted ? actual && satisfies(actual, operator, wanted) : has === version) continue;
      disqualified.add(candidate, { kind: "version", by: chain.requirer, has });
    }
}

function versionsAs(candidate: Candidate, name: string): readonly string[] {
  if (candidate.name === name) return [candidate.record.version];
  const provided = candidate.provides.filter((provide) => provide.name === name);
  return provided.map(({ version }) => version).filter((version) => version !== "");
}

function isVersioned(candidate: Candidate, name: string): boolean {
  return candidate.provides.find((provide) => provide.name === name)?.version !== "";
}
