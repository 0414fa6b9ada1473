import { BuildkitError } from "./error.ts";

/** The number for a daemon, which has no fractions. `what` names it in the message: "prune: keepBytes". */
export function whole(what: string, value: number): bigint {
  if (Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  throw new BuildkitError("request", `${what} is ${value}`, { hint: "Give a whole number that is not negative." });
}
