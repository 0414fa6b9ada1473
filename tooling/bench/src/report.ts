import type { Breakdown } from "./breakdown.ts";
import type { RecipeCost } from "./recipe-cost.ts";
import type { Comparison } from "./samples.ts";

export interface ComparisonLabels {
  readonly ours: string;
  readonly theirs: string;
  /** Behind the decimal point. */
  readonly digits: number;
  /** The largest ratio that is good enough; undefined: shown only. */
  readonly bound: number | undefined;
}

/** Raw samples, medians, ratio and verdict. */
export function formatComparison(comparison: Comparison, { ours, theirs, digits, bound }: ComparisonLabels): string {
  const row = (cells: readonly string[]) => `  ${cells.map((cell) => cell.padStart(10)).join("")}`;
  const numbers = (a: number, b: number) => [a.toFixed(digits), b.toFixed(digits), (a / b).toFixed(2)];
  const verdict = (limit: number) => `bound: ${limit.toFixed(2)}  ${comparison.ratio <= limit ? "met" : "NOT MET"}`;
  return [
    row(["round", ours, theirs, "ratio"]),
    ...comparison.samples.map((sample, index) => row([`${index + 1}`, ...numbers(sample.ours, sample.theirs)])),
    row(["median", ...numbers(comparison.ours, comparison.theirs)]),
    `  ${bound === undefined ? "no bound" : verdict(bound)}`,
    "",
  ].join("\n");
}

export function formatBreakdown({ phases, memory }: Breakdown): string {
  const total = phases.reduce((sum, { ms }) => sum + ms, 0);
  return [
    "  where the time of one more build goes, ms:",
    ...phases.map(({ name, ms }) => `  ${ms.toFixed(0).padStart(8)}  ${name}`),
    `  ${total.toFixed(0).padStart(8)}  in all; at most ${(memory / 2 ** 20).toFixed(0)} MiB of memory`,
    "",
  ].join("\n");
}

/** `bounds`: milliseconds of CPU a recipe, and bytes of memory. */
export function formatRecipes(cost: RecipeCost, bounds: { readonly cpu: number; readonly memory: number }): string {
  const each = cost.cpu / cost.recipes;
  const verdict = (isMet: boolean) => (isMet ? "met" : "NOT MET");
  return [
    `  ${cost.recipes} recipes, ${cost.steps} steps`,
    `  ${each.toFixed(1)} ms of CPU a recipe    bound: ${bounds.cpu}  ${verdict(each <= bounds.cpu)}`,
    `  ${(cost.memory / 1e6).toFixed(0)} MB of memory at most    bound: ${(bounds.memory / 1e6).toFixed(0)}  ${verdict(cost.memory < bounds.memory)}`,
    "",
  ].join("\n");
}
