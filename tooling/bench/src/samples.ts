/** One measurement of both sides in the same round, in the unit of the measurement. */
export interface Sample {
  readonly ours: number;
  readonly theirs: number;
}

export interface Comparison {
  readonly samples: readonly Sample[];
  readonly ours: number;
  readonly theirs: number;
  /** Of the medians. */
  readonly ratio: number;
}

export function compare(samples: readonly Sample[]): Comparison {
  const ours = median(samples.map((sample) => sample.ours));
  const theirs = median(samples.map((sample) => sample.theirs));
  return { samples, ours, theirs, ratio: ours / theirs };
}

/** The middle one; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new TypeError("the median of nothing");
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] as number;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] as number;
  return (lower + upper) / 2;
}

/** Measures both sides in every round, each first in every other one, so that neither always has the machine as the other left it. */
export async function interleaved(
  rounds: number,
  sides: Readonly<Record<keyof Sample, (round: number) => Promise<number>>>,
): Promise<Comparison> {
  const samples: Sample[] = [];
  for (let round = 0; round < rounds; round++) {
    const measured = { ours: 0, theirs: 0 };
    const order = round % 2 === 0 ? (["ours", "theirs"] as const) : (["theirs", "ours"] as const);
    for (const side of order) measured[side] = await sides[side](round);
    samples.push(measured);
  }
  return compare(samples);
}
