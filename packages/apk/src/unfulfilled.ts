import type { Rejection, Requirer } from "./rejection.ts";
import type { Candidate } from "./universe.ts";

/** A way from the world to what is asked for: each one who asked, the last one first. */
export interface Chain {
  readonly requirer: Requirer;
  readonly before: Chain | undefined;
}

/** All that asked on the way, the world's entry first. */
export function requirers(chain: Chain | undefined): readonly Requirer[] {
  return chain ? [...requirers(chain.before), chain.requirer] : [];
}

/** A package that would fulfil the constraint by its name, and why it cannot be taken. */
export interface Rejected {
  readonly candidate: Candidate;
  readonly rejection: Rejection;
}

/**
 * - `unknown`: no package has or provides the name · `rejected`: all that do cannot be taken
 * - `selected`: a package taken before has the name, and does not fit · `second`: two packages were taken that have one name
 * - `no-version`: the version asked for is none
 */
export type Failure = "unknown" | "rejected" | "selected" | "second" | "no-version";

/** Thrown inside the package when a resolution ends without a result; what leaves the package explains it. */
export class Unfulfilled extends Error {
  readonly failure: Failure;
  /** Its first requirer asked for what cannot be had. */
  readonly chain: Chain;
  readonly rejected: readonly Rejected[];

  constructor(failure: Failure, chain: Chain, rejected: readonly Rejected[]) {
    super(`${failure}: ${chain.requirer.dependency}`);
    this.failure = failure;
    this.chain = chain;
    this.rejected = rejected;
  }
}
