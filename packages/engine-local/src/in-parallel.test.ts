import { availableParallelism } from "node:os";
import { expect, it } from "vitest";
import { inParallel } from "./in-parallel.ts";

const never = new AbortController().signal;

it("gives the results in the items' order, whoever ends first", async () => {
  const ends = new Map<number, () => void>();
  const all = inParallel([1, 2, 3], never, async (item) => {
    if (item === 1 && availableParallelism() > 1) await new Promise<void>((resolve) => ends.set(item, resolve));
    if (item === 3) ends.get(1)?.();
    return item * 10;
  });
  expect(await all).toEqual([10, 20, 30]);
  expect(await inParallel([], never, async () => 1)).toEqual([]);
});

it("has no more at work than there are processors", async () => {
  let atWork = 0;
  let most = 0;
  const items = Array.from({ length: availableParallelism() * 3 }, (_, index) => index);
  await inParallel(items, never, async () => {
    most = Math.max(most, ++atWork);
    await new Promise(setImmediate);
    atWork--;
  });
  expect(most).toBe(availableParallelism());
});

it("ends the others with the first failure, starts nothing more, and throws it", async () => {
  const started: number[] = [];
  const items = Array.from({ length: availableParallelism() + 5 }, (_, index) => index);
  const work = async (item: number, signal: AbortSignal) => {
    started.push(item);
    if (item === 0) throw new Error("broken");
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("ended"))));
  };
  await expect(inParallel(items, never, work)).rejects.toThrow("broken");
  expect(started).toEqual(items.slice(0, availableParallelism()));
});
