import { setTimeout as delay } from "node:timers/promises";
import type { RegistryError } from "./error.ts";

/** Time as the client sees it; tests inject their own. Milliseconds. */
export interface Clock {
  now(): number;
  /** Rejects with the signal's reason when it is aborted. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (milliseconds, signal) => {
    await delay(milliseconds, undefined, { signal }).catch((error: unknown) => {
      throw signal.aborted ? signal.reason : error;
    });
  },
};

/** Thrown inside the package for a failure that may pass; what leaves the package is `failure`. */
export class Transient extends Error {
  readonly failure: RegistryError;
  /** How long the registry asked to wait. */
  readonly after: number | undefined;

  constructor(failure: RegistryError, after?: number) {
    super(failure.message);
    this.failure = failure;
    this.after = after;
  }
}

export interface RetryPolicy {
  /** Attempts in a row that may fail without progress in between. */
  readonly attempts: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** The patience left for one piece of work. */
export interface Patience {
  /** Waits before the next attempt; throws what is final, and the last failure when no attempt is left. */
  afterFailure(error: unknown): Promise<void>;
  /** Something was achieved: the attempts count anew. */
  progressed(): void;
}

const firstPause = 500;
const longestPause = 20_000;
/** A registry that asks for more than this is not waited for. */
const longestRetryAfter = 120_000;

export function patience(policy: RetryPolicy): Patience {
  let failed = 0;
  return {
    async afterFailure(error) {
      policy.signal.throwIfAborted();
      if (!(error instanceof Transient)) throw error;
      failed += 1;
      if (failed >= policy.attempts || (error.after ?? 0) > longestRetryAfter) throw error.failure;
      const pause = Math.min(firstPause * 2 ** (failed - 1), longestPause);
      // Several uploads that failed together do not come back together. A registry that asks for no wait at all still gets one.
      const spread = pause * (0.75 + Math.random() / 2);
      await policy.clock.sleep(Math.max(error.after ?? 0, spread), policy.signal);
    },
    progressed() {
      failed = 0;
    },
  };
}

/** Runs `work` until it succeeds, fails for good, or patience is exhausted. */
export async function retry<T>(policy: RetryPolicy, work: (patience: Patience) => Promise<T>): Promise<T> {
  const left = patience(policy);
  for (;;) {
    try {
      return await work(left);
    } catch (error) {
      await left.afterFailure(error);
    }
  }
}

/** Milliseconds that a Retry-After header asks for: seconds, or an HTTP date. */
export function retryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
