import type { Candidate, Universe } from "./universe.ts";

/**
 * The packages, each name once, and behind them those that are installed because all that their `install_if` names is among them. As apko does
 * it, a token is a name or `name=VERSION` with the very text of the version, and what these packages need in turn is not considered.
 * `isWelcome` may keep single ones out.
 */
export function installIf(
  universe: Universe,
  packages: readonly Candidate[],
  isWelcome: (candidate: Candidate) => boolean,
): Candidate[] {
  const added = new Map<string, Candidate>();
  for (const candidate of packages) if (!added.has(candidate.name)) added.set(candidate.name, candidate);
  const isThere = (token: string): boolean => {
    const equals = token.indexOf("=");
    if (equals < 0) return added.has(token);
    return added.get(token.slice(0, equals))?.record.version === token.slice(equals + 1);
  };
  // What is added in this loop is visited by it, too.
  for (const [name, { record }] of added) {
    const candidates = universe.installedIf(name) ?? universe.installedIf(`${name}=${record.version}`) ?? [];
    for (const candidate of candidates)
      if (!added.has(candidate.name) && candidate.record.installIf.every(isThere) && isWelcome(candidate))
        added.set(candidate.name, candidate);
  }
  return [...added.values()];
}
