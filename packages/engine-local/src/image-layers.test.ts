import { expect, it } from "vitest";
import { imageParts } from "./image-layers.ts";

const state = (base: number, steps: number) => ({
  id: "x",
  base,
  layers: [
    ...Array.from({ length: base }, (_, index) => `base-${index}`),
    ...Array.from({ length: steps }, (_, index) => `step${index}`),
  ],
});

it("a layer for each step, as long as Docker takes them", () => {
  const parts = imageParts(state(2, 100));
  expect(parts.base.map(({ name }) => name)).toEqual(["base-0", "base-1"]);
  expect(parts.steps.map(({ name }) => name)).toEqual(state(0, 100).layers);
  expect(parts.words[99]).toBe("step 100");
});

it.each([
  [1, 101],
  [1, 120],
  [24, 100],
  [25, 100],
  [60, 300],
  [123, 5],
])("base of %i layers and %i steps fit with the image's own layer", (base, steps) => {
  const parts = imageParts(state(base, steps));
  expect(parts.base.length + parts.steps.length + 1).toBeLessThanOrEqual(125);
  expect(parts.steps.flatMap(({ layers }) => layers)).toEqual(state(0, steps).layers);
  expect(parts.words).toHaveLength(parts.steps.length);
  expect(new Set(parts.steps.map(({ name }) => name)).size).toBe(parts.steps.length);
});

it("a state without steps has its base alone", () => {
  expect(imageParts(state(1, 0)).steps).toEqual([]);
});
