/** What can go wrong with a case; each is a column of the table. */
export const faults = [
  "crash",
  "hang",
  "internal error",
  "leak",
  "judged otherwise",
  "left behind",
  "host changed",
] as const;

export type Fault = (typeof faults)[number];

/** The cases of one kind, and what went wrong with them. */
export interface Tally {
  readonly kind: string;
  cases: number;
  readonly found: { readonly fault: Fault; readonly about: string }[];
}

export const tally = (kind: string): Tally => ({ kind, cases: 0, found: [] });

/** The table that ends a campaign, and below it the first cases of each fault. */
export function tableOf(seed: number, tallies: readonly Tally[]): string {
  const columns = ["kind", "cases", ...faults];
  const rows = tallies.map((one) => [
    one.kind,
    String(one.cases),
    ...faults.map((fault) => String(one.found.filter((each) => each.fault === fault).length)),
  ]);
  const widths = columns.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => (row[column] as string).length)),
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => cell.padEnd(widths[column] as number)).join("  ");
  const details = tallies.flatMap(({ kind, found }) =>
    found.slice(0, 12).map(({ fault, about }) => `  ${kind}: ${fault}: ${about.slice(0, 600)}`),
  );
  return [`campaign with MELANGE2_CAMPAIGN_SEED=${seed}`, line(columns), ...rows.map(line), ...details].join("\n");
}
