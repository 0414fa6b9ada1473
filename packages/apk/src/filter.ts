import { type Constraint, satisfies } from "./constraint.ts";
import type { Disqualified, Rejection } from "./rejection.ts";
import type { Candidate } from "./universe.ts";
import { parseVersion, type Version } from "./version.ts";

/** Which tagged repositories may be taken from, besides the untagged ones. */
export interface Tags {
  /** A tag that is allowed beside the constraint's own; empty: none. */
  readonly allowed: string;
  /** A package chosen before: its repository is allowed too. */
  readonly installed?: Candidate | undefined;
  /** Tags by the name of the package that may be taken from there, whoever needs it. */
  readonly byName?: ReadonlyMap<string, string> | undefined;
}

/** The candidates that are not out, may be taken from their repositories and fit the constraint's version. */
export function fitting(
  candidates: readonly Candidate[],
  constraint: Constraint,
  disqualified: Disqualified,
  tags: Tags,
): Candidate[] {
  const wanted = constraint.operator === "any" ? undefined : parseVersion(constraint.version);
  return candidates.filter(
    (candidate) =>
      !disqualified.has(candidate) && mayTake(candidate, constraint, tags) && fits(candidate, constraint, wanted),
  );
}

/** Why `fitting` leaves a candidate out; undefined where it does not. */
export function rejectionOf(
  candidate: Candidate,
  constraint: Constraint,
  disqualified: Disqualified,
  tags: Tags,
): Rejection | undefined {
  const known = disqualified.reason(candidate);
  if (known) return known;
  if (!mayTake(candidate, constraint, tags)) return { kind: "tag", tag: candidate.tag };
  return fits(candidate, constraint, parseVersion(constraint.version)) ? undefined : { kind: "unfit" };
}

function mayTake(candidate: Candidate, constraint: Constraint, { allowed, installed, byName }: Tags): boolean {
  const { tag, repository, name } = candidate;
  return (
    tag === "" ||
    tag === constraint.tag ||
    tag === allowed ||
    tag === byName?.get(name) ||
    repository.url === installed?.repository.url
  );
}

/** A version fits by the package's own, or by any of its provides, whatever that provide's name is. */
function fits(candidate: Candidate, { operator }: Constraint, wanted: Version | undefined): boolean {
  if (operator === "any") return true;
  const own = candidate.version;
  if (!wanted || !own) return false;
  if (satisfies(own, operator, wanted)) return true;
  return candidate.provides.some(({ version }) => {
    const provided = version === "" ? undefined : parseVersion(version);
    return provided !== undefined && satisfies(provided, operator, wanted);
  });
}
