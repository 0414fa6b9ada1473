import { randomUUID } from "node:crypto";
import type { SecretSource } from "@melange2/core";
import { parseSecretId } from "./unit-op.ts";

/** Which units a session may execute, and which it did: the daemon asks for a unit's capture secret whenever it is about to run it. */
export interface Permits {
  /** What the daemon is given for a secret's id; undefined, so that the unit fails before it starts, for one that is not to be executed. */
  answer(id: string): string | undefined;
  /** From now on units of this marker may be executed here, each step within its limit in seconds, 0 for none. */
  grant(marker: string, limits: readonly number[], onRun: (run: string) => void): Permit;
}

export interface Permit {
  /** From now on nothing is executed by it. */
  end(): void;
}

export function createPermits(secrets: SecretSource): Permits {
  const granted = new Map<string, () => string>();
  return {
    answer(id) {
      const asked = parseSecretId(id);
      if (asked === undefined) return undefined;
      if ("variable" in asked) return secrets.get(asked.variable);
      return granted.get(asked.marker)?.();
    },
    grant(marker, limits, onRun) {
      const order = () => {
        const run = randomUUID();
        onRun(run);
        return `${[run, ...limits].join(" ")}\n`;
      };
      granted.set(marker, order);
      return {
        end() {
          if (granted.get(marker) === order) granted.delete(marker);
        },
      };
    },
  };
}

/** For sessions that look at states and never make them. Not even a no: a daemon asks all who want a result until one gives the secret. */
export const neverRun = (): undefined => undefined;
