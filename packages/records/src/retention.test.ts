import { expect, it } from "vitest";
import { beyondBudget } from "./retention.ts";

const builds = (...bytes: number[]) => bytes.map((size, index) => ({ id: `b${index}`, bytes: size }));

it("keeps what fits, drops the oldest first", () => {
  expect(beyondBudget(builds(1, 1, 1, 1), { builds: 2, bytes: 100 })).toEqual(["b3", "b2"]);
  expect(beyondBudget(builds(60, 30, 20), { builds: 9, bytes: 100 })).toEqual(["b2"]);
  expect(beyondBudget(builds(1, 1), { builds: 9, bytes: 100 })).toEqual([]);
});

it("never drops the newest, however large", () => {
  expect(beyondBudget(builds(500, 1), { builds: 9, bytes: 100 })).toEqual(["b1"]);
});

it("does not keep an older build in the place of a newer one that was too large", () => {
  expect(beyondBudget(builds(60, 50, 1), { builds: 9, bytes: 100 })).toEqual(["b2", "b1"]);
});
