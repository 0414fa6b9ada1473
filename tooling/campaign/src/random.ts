/** Numbers that depend on a seed alone, so that a case can be made again from its seed and its number. */
export interface Random {
  /** A whole number, 0 at least and below `limit`. */
  below(limit: number): number;
  pick<T>(items: readonly T[]): T;
  /** True once in `times` on average. */
  oneIn(times: number): boolean;
  /** Between 0 and 1. */
  fraction(): number;
}

/** Case `index` of a campaign: mulberry32, started from both numbers. */
export function randomOf(seed: number, index: number): Random {
  let state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) + Math.imul(index + 1, 0xc2b2ae35)) >>> 0;
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(fraction() * limit);
  return {
    below,
    fraction,
    pick: (items) => items[below(items.length)] as (typeof items)[number],
    oneIn: (times) => below(times) === 0,
  };
}

/** The seed of this run: MELANGE2_CAMPAIGN_SEED, else a new one. */
export function campaignSeed(): number {
  const given = process.env.MELANGE2_CAMPAIGN_SEED;
  return given === undefined || given === "" ? Math.floor(Math.random() * 2 ** 31) : Number(given);
}
