import { expect, it } from "vitest";
import { layersToPrune, type PrunableLayer } from "./prune-plan.ts";

const layer = (id: string, lastUsed: number, parents: readonly string[] = [], reusable = true): PrunableLayer => ({
  id,
  parents,
  bytes: 10,
  lastUsed,
  reusable,
});
const gone = (layers: readonly PrunableLayer[], pinned: readonly string[], budget: number) =>
  layersToPrune(layers, new Set(pinned), budget).map(({ id }) => id);

it("keeps what fits, the longest unused go first", () => {
  const layers = [layer("old", 1), layer("new", 3), layer("middle", 2)];
  expect(gone(layers, [], 100)).toEqual([]);
  expect(gone(layers, [], 20)).toEqual(["old"]);
  expect(gone(layers, [], 0)).toEqual(["old", "new", "middle"]);
});

it("keeps what was used last, whatever it takes, unless nothing may stay", () => {
  const layers = [layer("base", 3), layer("step", 4, ["base"]), layer("other", 2)];
  expect(gone(layers, [], 15)).toEqual(["other"]);
  expect(gone(layers, [], 0)).toEqual(["base", "step", "other"]);
});

it("never takes what a kept state stands on, and charges it to nobody", () => {
  const layers = [layer("base", 1), layer("step", 1, ["base"]), layer("other", 9)];
  expect(gone(layers, ["step"], 0)).toEqual(["other"]);
  expect(gone(layers, ["step"], 10)).toEqual([]);
});

it("keeps a layer only with everything below it", () => {
  const layers = [layer("base", 1), layer("a", 2, ["base"]), layer("b", 3, ["a"]), layer("lone", 1)];
  expect(gone(layers, [], 30)).toEqual(["lone"]);
  // Beside what was used last, b would need 30 bytes; with 20 left, a and its base fit.
  expect(gone([...layers, layer("last", 9)], [], 30)).toEqual(["b", "lone"]);
});

it("takes what no later build can find before anything else", () => {
  const layers = [layer("base", 1), layer("failed", 9, ["base"], false), layer("after", 9, ["failed"])];
  expect(gone(layers, [], 1000)).toEqual(["failed", "after"]);
});

it("does not keep what stands on a layer that is gone", () => {
  expect(gone([layer("orphan", 5, ["missing"])], [], 1000)).toEqual(["orphan"]);
});
