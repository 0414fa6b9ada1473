import type { FailureRecord, PackageRecord } from "@melange2/core";

/** How a package of two environments differs. */
export interface PackageDifference {
  /** Of which environment: `build`, `test:NAME`. */
  readonly environment: string;
  readonly name: string;
  /** Undefined: it is not there. */
  readonly before: PackageRecord | undefined;
  readonly after: PackageRecord | undefined;
}

/**
 * What differs between the packages of two builds' environments, by environment and name. A package with the same version and another checksum was
 * published anew. Environments whose packages are not known are passed over.
 */
export function comparePackages(
  before: Pick<FailureRecord, "environments">,
  after: Pick<FailureRecord, "environments">,
): readonly PackageDifference[] {
  const names = [...new Set([...Object.keys(before.environments), ...Object.keys(after.environments)])].sort();
  return names.flatMap((environment) => {
    const [old, young] = [before, after].map(
      ({ environments }) => new Map(environments[environment]?.packages?.map((one) => [one.name, one])),
    ) as [Map<string, PackageRecord>, Map<string, PackageRecord>];
    return [...new Set([...old.keys(), ...young.keys()])]
      .sort()
      .map((name) => ({ environment, name, before: old.get(name), after: young.get(name) }))
      .filter(({ before: a, after: b }) => a?.version !== b?.version || a?.checksum !== b?.checksum);
  });
}
