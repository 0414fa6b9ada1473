import { parseConstraint } from "./constraint.ts";
import { printable } from "./printable.ts";
import { isSame, type Rejection, type Requirer } from "./rejection.ts";
import { type Rejected, requirers, type Unfulfilled } from "./unfulfilled.ts";
import type { Candidate } from "./universe.ts";
import { compareVersions, parseVersion } from "./version.ts";

/** Candidates in the order in which they help: what is easiest to change first, newer versions before older ones. */
export function mostHelpfulFirst(rejected: readonly Rejected[], wanted: Requirer): readonly Rejected[] {
  const newestFirst = (a: Candidate, b: Candidate) =>
    a.version && b.version ? compareVersions(b.version, a.version) : 0;
  return [...rejected].sort(
    (a, b) => rank(a.rejection, wanted) - rank(b.rejection, wanted) || newestFirst(a.candidate, b.candidate),
  );
}

/**
 * What the reader can do about a world that cannot be resolved, a sentence. The reader can change the environment's packages and its
 * repositories, but not what packages say. `rejected` has the most helpful candidates first.
 */
export function hintFor(
  { failure, chain, rejected }: Pick<Unfulfilled, "failure" | "chain" | "rejected">,
  nearest: readonly string[],
): string {
  const wanted = chain.requirer;
  if (failure === "unknown") return hintForUnknown(wanted, nearest);
  if (failure === "no-version") return noVersion(wanted);
  const [first] = rejected;
  const entry = requirers(chain)[0] as Requirer;
  return first ? hintForRejected(first, { wanted, entry, rejected }) : missing(wanted);
}

function hintForUnknown(wanted: Requirer, nearest: readonly string[]): string {
  if (wanted.dependency.startsWith("!")) return "Leave it out.";
  if (wanted.candidate) return missing(wanted);
  const example = nearest[0] === undefined ? "" : `, as in ${nearest[0]}`;
  return `Correct the name${example}, or add the repository that has it.`;
}

function hintForRejected(
  { candidate, rejection }: Rejected,
  {
    wanted,
    entry,
    rejected,
  }: { readonly wanted: Requirer; readonly entry: Requirer; readonly rejected: readonly Rejected[] },
): string {
  switch (rejection.kind) {
    case "tag":
      return `Ask for ${printable(`${candidate.name}@${rejection.tag}`)} in the environment's packages.`;
    case "taken":
      return `Leave out one of the two: ${printable(`${candidate.name}, ${rejection.by.name}`)} cannot be installed together.`;
    case "excluded":
      return `${leaveOut(rejection.by, entry)}.`;
    case "version":
      if (!isSame(rejection.by, wanted))
        return `${leaveOut(rejection.by, entry)}, or add a repository with ${printable(candidate.name)} in a version that fits both.`;
      return hintForVersion(wanted, rejected);
    default:
      return hintForVersion(wanted, rejected);
  }
}

function hintForVersion(wanted: Requirer, rejected: readonly Rejected[]): string {
  if (wanted.candidate) return missing(wanted);
  const { name, version } = parseConstraint(wanted.dependency);
  if (parseVersion(version) === undefined) return noVersion(wanted);
  const own = rejected.find(({ candidate }) => candidate.name === name);
  const example = own ? `, such as ${printable(`${name}=${own.candidate.record.version}`)}` : "";
  return `Ask for a version that there is${example}, or add the repository that has ${printable(wanted.dependency)}.`;
}

/** Two requirers that cannot both have what they ask for. */
function leaveOut(by: Requirer, entry: Requirer): string {
  const other = printable(by.candidate?.label ?? by.dependency);
  const where = by.candidate ? "" : " in the environment's packages";
  return `Change or leave out ${other} or ${printable(entry.dependency)}${where}`;
}

function missing({ candidate, dependency }: Requirer): string {
  const wanted = printable(dependency);
  if (!candidate) return `Add the repository that has ${wanted}.`;
  return `Add the repository that has ${wanted}, or ask for another version of ${printable(candidate.name)}.`;
}

function noVersion({ dependency }: Requirer): string {
  const { version } = parseConstraint(dependency);
  return `Write a version that apk knows, such as 1.2.3-r0, in place of ${printable(version)}, or leave it out.`;
}

/** What is easiest to change comes first; last, that a version does not fit the very constraint that is asked for. */
function rank(rejection: Rejection, wanted: Requirer): number {
  if (rejection.kind === "version" && isSame(rejection.by, wanted)) return 4;
  return ["tag", "excluded", "taken", "version", "unfit"].indexOf(rejection.kind);
}
