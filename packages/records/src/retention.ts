/** What retention needs to know of a kept build. */
export interface KeptBuild {
  readonly id: string;
  /** Bytes that dropping it would free, as well as the engine knows. */
  readonly bytes: number;
}

export interface Budget {
  readonly builds: number;
  readonly bytes: number;
}

/** Promised to users: the ten latest failures, at most 20 GB. */
export const defaultBudget: Budget = { builds: 10, bytes: 20e9 };

/** Ids to drop so that the rest fits, oldest first; the first of `builds`, which is newest first, always stays. */
export function beyondBudget(builds: readonly KeptBuild[], budget: Budget): readonly string[] {
  let bytes = 0;
  const kept: string[] = [];
  for (const build of builds) {
    const fits = kept.length < budget.builds && bytes + build.bytes <= budget.bytes;
    if (kept.length > 0 && !fits) break;
    bytes += build.bytes;
    kept.push(build.id);
  }
  return builds
    .slice(kept.length)
    .map((build) => build.id)
    .reverse();
}
