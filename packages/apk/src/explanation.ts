import { parseConstraint } from "./constraint.ts";
import { hintFor, mostHelpfulFirst } from "./explanation-hint.ts";
import { nearestNames } from "./nearest-names.ts";
import { printable } from "./printable.ts";
import { isSame, type Rejection, type Requirer } from "./rejection.ts";
import { type Failure, requirers, type Unfulfilled } from "./unfulfilled.ts";
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
    /** The address of its repository's folder, without credentials. */
    readonly repository: string;
    readonly why: string;
  }[];
  /** Names like the one that nobody has. */
  readonly nearest: readonly string[];
  /** What the reader can do about it, one sentence or two. */
  readonly hint: string;
}

const mostCandidates = 8;

export function explain({ failure, chain, rejected: all }: Unfulfilled, universe: Universe): Explanation {
  const rejected = mostHelpfulFirst(all, chain.requirer);
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
      repository: printable(candidate.repository.shown ?? candidate.repository.url),
      why: why(rejection, chain.requirer),
    })),
    nearest,
    hint: hintFor({ failure, chain, rejected }, nearest),
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
      return `no package can be taken for ${wanted}`;
    case "selected":
      return `what was taken before does not fit ${wanted}`;
    case "second":
      return "two packages want the same name";
    case "no-version":
      return `${wanted} asks for a version that is none`;
  }
}

function why(rejection: Rejection, wanted: Requirer): string {
  switch (rejection.kind) {
    case "excluded":
      return `kept out by ${asking(rejection.by)}`;
    case "version":
      if (isSame(rejection.by, wanted)) return `its version ${shownVersion(rejection)} does not fit`;
      return `its version ${shownVersion(rejection)} does not fit ${asking(rejection.by)}`;
    case "taken":
      return `${printable(rejection.by.label)} has the name ${printable(rejection.name)} already, and only one package may`;
    case "unfit":
      return `its version does not fit ${printable(wanted.dependency)}`;
    case "tag":
      return `its repository has the tag @${printable(rejection.tag)}, which has to be asked for`;
  }
}

function asking({ candidate, dependency }: Requirer): string {
  return printable(`${dependency} of ${candidate?.label ?? "the environment"}`);
}

/** Versions of shared libraries are compared with `0.` before them, and shown as they are written. */
function shownVersion({ by, has }: { readonly by: Requirer; readonly has: string }): string {
  return printable(by.dependency.startsWith("so:") && !has.includes("-r") ? has.replace(/^0\./, "") : has);
}
