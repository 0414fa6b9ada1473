import { type Constraint, parseConstraint } from "./constraint.ts";
import type { PackageRecord } from "./index-text.ts";
import { parseVersion, type Version } from "./version.ts";

/** A repository's index for one architecture, as the resolver takes it. */
export interface RepositoryIndex {
  /** The address of its folder, `REPOSITORY/ARCH`: what packages' addresses begin with. */
  readonly url: string;
  /** The same for people, without credentials; absent: as it is. */
  readonly shown?: string;
  /** Its packages are taken only where this tag is asked for; empty: always. */
  readonly tag: string;
  readonly packages: readonly PackageRecord[];
}

/** A package of one repository: what the resolver chooses from. */
export class Candidate {
  readonly record: PackageRecord;
  readonly repository: RepositoryIndex;
  readonly name: string;
  #version: Version | undefined | null = null;
  #provides: readonly Constraint[] | undefined;

  constructor(record: PackageRecord, repository: RepositoryIndex) {
    this.record = record;
    this.repository = repository;
    this.name = record.name;
  }

  get tag(): string {
    return this.repository.tag;
  }

  /** Undefined where it is none: an index may hold anything. */
  get version(): Version | undefined {
    if (this.#version === null) this.#version = parseVersion(this.record.version);
    return this.#version;
  }

  get provides(): readonly Constraint[] {
    this.#provides ??= this.record.provides.map(parseConstraint);
    return this.#provides;
  }

  /** `NAME-VERSION`, as people and package files call it. */
  get label(): string {
    return `${this.record.name}-${this.record.version}`;
  }
}

/** All packages of some repositories, by what they can be asked for as. */
export interface Universe {
  readonly repositories: readonly RepositoryIndex[];
  /** Packages of the name, in the order of repositories and indexes; behind them its providers, once for each provide of the name. */
  named(name: string): readonly Candidate[];
  /** Packages whose `install_if` has the token, as it is written. */
  installedIf(token: string): readonly Candidate[] | undefined;
  /** Every name that a package has or provides. */
  names(): Iterable<string>;
}

/** Most names have one package, which is kept without a list of its own: that is a list less for each of tens of thousands of names. */
type OneOrMore = Candidate | Candidate[];

export function createUniverse(repositories: readonly RepositoryIndex[]): Universe {
  const byName = new Map<string, OneOrMore>();
  const byToken = new Map<string, OneOrMore>();
  for (const repository of repositories)
    for (const record of repository.packages) {
      const candidate = new Candidate(record, repository);
      append(byName, record.name, candidate);
      for (const token of record.installIf) append(byToken, token, candidate);
    }
  // Providers come behind the packages of a name, grouped by their own names.
  for (const candidate of [...byName.values()].flat())
    for (const text of candidate.record.provides) append(byName, providedName(text), candidate);
  return {
    repositories,
    named: (name) => listOf(byName.get(name)),
    installedIf: (token) => (byToken.has(token) ? listOf(byToken.get(token)) : undefined),
    names: () => byName.keys(),
  };
}

/** Most provides are names with at most a plain `=`: these need no grammar. */
function providedName(text: string): string {
  const end = text.search(/[@=><~]/);
  if (end < 0) return text;
  return plain.test(text) ? text.slice(0, end) : parseConstraint(text).name;
}

const plain = /^[^@=><~]+=[^@=><~]+$/;

function append(map: Map<string, OneOrMore>, key: string, candidate: Candidate): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, candidate);
  else if (known instanceof Candidate) map.set(key, [known, candidate]);
  else known.push(candidate);
}

function listOf(known: OneOrMore | undefined): readonly Candidate[] {
  if (known === undefined) return [];
  return known instanceof Candidate ? [known] : known;
}
