import { randomUUID } from "node:crypto";
import type { SecretSource } from "@melange2/core";
import { parseSecretId } from "./unit-op.ts";

/** Which units a session may execute, and which it did: the daemon asks for a unit's capture secret whenever it is about to run it. */
export interface Permits {
  /** What the daemon is given for a secret's id. */
  answer(id: string): string | undefined;
  /**
   * From now on units of this marker may be executed here. `onRun` is called with a new run's id as each begins; after the call of what is
   * returned no more, but the permit stays: what a build has run it may run again where the daemon has lost it.
   */
  grant(marker: string, onRun: (run: string) => void): () => void;
}

export function createPermits(secrets: SecretSource): Permits {
  const granted = new Map<string, (run: string) => void>();
  return {
    answer(id) {
      const asked = parseSecretId(id);
      if (asked === undefined) return undefined;
      if ("variable" in asked) return secrets.get(asked.variable);
      const onRun = granted.get(asked.marker);
      if (onRun === undefined) return "never\n";
      const run = randomUUID();
      onRun(run);
      return `on ${run}\n`;
    },
    grant(marker, onRun) {
      granted.set(marker, onRun);
      return () => void granted.set(marker, () => {});
    },
  };
}

/** For sessions that look at states and never make them. */
export const neverRun = (id: string): string | undefined => (parseSecretId(id) === undefined ? undefined : "never\n");
