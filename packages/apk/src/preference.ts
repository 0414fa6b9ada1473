import type { Candidate } from "./universe.ts";
import { compareVersions, parseVersion, type Version } from "./version.ts";

/** What was decided before: it draws the choice between candidates. */
export interface Context {
  /** Packages chosen so far, by name. */
  readonly existing: ReadonlyMap<string, Candidate>;
  /** Version by origin, over packages chosen so far. */
  readonly origins: ReadonlyMap<string, string>;
  /** The tag asked for; empty while dependencies are resolved. */
  readonly tag: string;
}

/** The best of the candidates for `name`; of equal ones the first. */
export function best(candidates: readonly Candidate[], name: string, context: Context): Candidate | undefined {
  let found = candidates[0];
  for (const candidate of candidates)
    if (found && candidate !== found && isBetter(candidate, found, name, context)) found = candidate;
  return found;
}

/** Whether `a` is to be taken rather than `b`: the first rule that tells them apart decides. */
function isBetter(a: Candidate, b: Candidate, name: string, { existing, origins, tag }: Context): boolean {
  const rules = [isExisting, hasKnownOrigin, hasTag] as const;
  for (const rule of rules) {
    const [first, second] = [rule(a), rule(b)];
    if (first !== second) return first;
  }
  const asked = byText(versionFor(a, name), versionFor(b, name));
  if (asked !== 0) return asked > 0;
  if (a.name === b.name) {
    const own = byOwnVersion(a, b);
    if (own !== 0) return own > 0;
  }
  const priority = a.record.providerPriority - b.record.providerPriority;
  if (priority !== 0) return priority > 0;
  const own = byOwnVersion(a, b);
  if (own !== 0) return own > 0;
  return a.name < b.name;

  function isExisting(candidate: Candidate): boolean {
    return existing.get(candidate.name)?.record.version === candidate.record.version;
  }
  function hasKnownOrigin({ record }: Candidate): boolean {
    return record.origin !== "" && origins.get(record.origin) === record.version;
  }
  function hasTag(candidate: Candidate): boolean {
    return candidate.tag === tag;
  }
}

/** The version that a candidate has as `name`: its own, or that of its first provide of the name; empty where that has none. */
function versionFor(candidate: Candidate, name: string): string {
  if (candidate.name === name) return candidate.record.version;
  return candidate.provides.find((provide) => provide.name === name)?.version ?? "";
}

function byOwnVersion(a: Candidate, b: Candidate): number {
  return a.record.version === b.record.version ? 0 : byVersion(a.version, b.version);
}

function byText(a: string, b: string): number {
  return a === "" || b === "" || a === b ? 0 : byVersion(parseVersion(a), parseVersion(b));
}

/** What is no version loses; of two such the second wins, as in apko. */
function byVersion(a: Version | undefined, b: Version | undefined): number {
  if (!a) return -1;
  return b ? compareVersions(a, b) : 1;
}
