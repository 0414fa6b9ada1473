import { parseConstraint } from "./constraint.ts";
import { nearestNames } from "./nearest-names.ts";
import { printable } from "./printable.ts";
import type { Rejection, Requirer } from "./rejection.ts";
import type { Chain, Failure, Rejected, Unfulfilled } from "./unfulfilled.ts";
import type { Universe } from "./universe.ts";

/** Why a world cannot be resolved, as data: for records, and for {@link formatExplanation}. All texts are printable. */
export interface Explanation {
  readonly failure: Failure;
  /** What is asked for and cannot be had, as it is written. */
  readonly wanted: string;
  /** Who asks for it, from the world on: each asks for what the next one is or provides, the last one for `wanted`. */
  readonly chain: readonly {
    /** `NAME-VERSION`; undefined is the world. */
    readonly package: string | undefined;
    readonly asksFor: string;
  }[];
  readonly candidates: readonly {
    readonly package: string;
    /** The address of its repository's folder. */
    readonly repository: string;
    readonly why: string;
  }[];
  /** Names like the one that nobody has. */
  readonly nearest: readonly string[];
  /** What the reader can do about it, one sentence or two. */
  readonly hint: string;
}

const mostCandidates = 8;

export function explain({ failure, chain, rejected }: Unfulfilled, universe: Universe): Explanation {
  const wanted = chain.requirer.dependency;
  const { name } = parseConstraint(wanted.replace(/^!/, ""));
  const nearest = failure === "unknown" ? nearestNames(name, universe.names()).map(printable) : [];
  return {
    failure,
    wanted: printable(wanted),
    chain: requirers(chain).map(({ candidate, dependency }) => ({
      package: candidate && printable(candidate.label),
      asksFor: printable(dependency),
    })),
    candidates: rejected.map(({ candidate, rejection }) => ({
      package: printable(candidate.label),
      repository: printable(candidate.repository.url),
      why: why(rejection, wanted),
    })),
    nearest,
    hint: hintFor(failure, wanted, rejected, nearest),
  };
}

/** Several lines: what cannot be had, who asks for it, and what stands against each candidate. */
export function formatExplanation({ failure, wanted, chain, candidates, nearest }: Explanation): string {
  const lines = [`the packages cannot be resolved: ${headline(failure, wanted)}`];
  for (const link of chain)
    lines.push(
      `  ${link.package === undefined ? "the environment asks for" : `${link.package} needs`} ${link.asksFor}`,
    );
  for (const candidate of candidates.slice(0, mostCandidates))
    lines.push(`    ${candidate.package} (${candidate.repository}): ${candidate.why}`);
  if (candidates.length > mostCandidates) lines.push(`    and ${candidates.length - mostCandidates} more`);
  if (nearest.length > 0) lines.push(`    names like it: ${nearest.join(", ")}`);
  return lines.join("\n");
}

function headline(failure: Failure, wanted: string): string {
  switch (failure) {
    case "unknown":
      return `no package is called or provides ${parseConstraint(wanted).name}`;
    case "rejected":
      return `nothing that could be ${wanted} may be taken`;
    case "selected":
      return `what was taken before does not fit ${wanted}`;
    case "second":
      return "two packages want the same name";
    case "no-version":
      return `${wanted} asks for a version that is none`;
  }
}

/** The world's first. */
function requirers(chain: Chain | undefined): Requirer[] {
  return chain ? [...requirers(chain.before), chain.requirer] : [];
}

function why(rejection: Rejection, wanted: string): string {
  switch (rejection.kind) {
    case "excluded":
      return `kept out by ${asking(rejection.by)}`;
    case "version":
      return `kept out by ${asking(rejection.by)}, which ${printable(rejection.has)} does not fit`;
    case "taken":
      return `${printable(rejection.by.label)} has the name ${printable(rejection.name)} already, and only one package may`;
    case "unfit":
      return `its version does not fit ${printable(wanted)}`;
    case "tag":
      return `its repository is for those who ask with the tag @${printable(rejection.tag)}`;
  }
}

function asking({ candidate, dependency }: Requirer): string {
  return printable(`${dependency} of ${candidate?.label ?? "the environment"}`);
}

function hintFor(failure: Failure, wanted: string, rejected: readonly Rejected[], nearest: readonly string[]): string {
  if (failure === "unknown") {
    if (wanted.startsWith("!")) return "Leave it out.";
    return nearest.length > 0
      ? `Correct the name, as in ${nearest[0]}, or add the repository that has it.`
      : "Correct the name, or add the repository that has it.";
  }
  if (failure === "no-version") return "Write a version that apk knows, such as 1.2.3-r0, or leave it out.";
  const [{ candidate, rejection } = {}] = [...rejected].sort((a, b) => rank(a.rejection) - rank(b.rejection));
  switch (rejection?.kind) {
    case "tag":
      return `Ask for ${printable(`${candidate?.name}@${rejection.tag}`)} in the environment's packages.`;
    case "excluded":
    case "version":
      return `Change or leave out ${asking(rejection.by)}, or add a repository with a package that fits both.`;
    case "taken":
      return `Leave out one of the two: ${printable(`${candidate?.name}, ${rejection.by.name}`)} cannot be installed together.`;
    default:
      return `Ask for a version that there is, or add the repository that has ${printable(wanted)}.`;
  }
}

/** What is easiest to change comes first. */
function rank({ kind }: Rejection): number {
  return ["tag", "excluded", "taken", "version", "unfit"].indexOf(kind);
}
