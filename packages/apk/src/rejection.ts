import type { Candidate } from "./universe.ts";

/** Who asks for something: the world, or a package; `dependency` is the text that it asks with. */
export interface Requirer {
  /** Undefined: the world itself. */
  readonly candidate: Candidate | undefined;
  readonly dependency: string;
}

export function isSame(a: Requirer, b: Requirer): boolean {
  return a.candidate === b.candidate && a.dependency === b.dependency;
}

/** Why a candidate cannot be taken. */
export type Rejection =
  /** A `!` constraint keeps it out. */
  | { readonly kind: "excluded"; readonly by: Requirer }
  /** A constraint that holds for the whole world does not take this version of it. */
  | { readonly kind: "version"; readonly by: Requirer; readonly has: string }
  /** A package chosen before has the name, and only one may. */
  | { readonly kind: "taken"; readonly name: string; readonly by: Candidate }
  /** Its version does not fit the constraint at hand. */
  | { readonly kind: "unfit" }
  /** Its repository is tagged, and the tag was not asked for. */
  | { readonly kind: "tag"; readonly tag: string };

/** Candidates that are out for the rest of a resolution, each with the first reason that there was. */
export class Disqualified {
  readonly #reasons = new Map<Candidate, Rejection>();

  add(candidate: Candidate, reason: Rejection): void {
    if (!this.#reasons.has(candidate)) this.#reasons.set(candidate, reason);
  }

  has(candidate: Candidate): boolean {
    return this.#reasons.has(candidate);
  }

  reason(candidate: Candidate): Rejection | undefined {
    return this.#reasons.get(candidate);
  }
}
