import { expect, test } from "vitest";
import { compare, interleaved, median } from "./samples.ts";

test("the median of an even number lies between the two in the middle", () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([9, 1, 5, 6])).toBe(5.5);
  expect(() => median([])).toThrow(TypeError);
});

test("the ratio is that of the medians, not of one round", () => {
  const { ours, theirs, ratio } = compare([
    { ours: 1, theirs: 2 },
    { ours: 50, theirs: 4 },
    { ours: 1, theirs: 4 },
  ]);
  expect({ ours, theirs, ratio }).toEqual({ ours: 1, theirs: 4, ratio: 0.25 });
});

test("each side goes first in every other round", async () => {
  const order: string[] = [];
  const side = (name: string) => async (round: number) => {
    order.push(`${name}${round}`);
    return round;
  };
  const { samples } = await interleaved(3, { ours: side("o"), theirs: side("t") });
  expect(order).toEqual(["o0", "t0", "t1", "o1", "o2", "t2"]);
  expect(samples).toEqual([0, 1, 2].map((round) => ({ ours: round, theirs: round })));
});
