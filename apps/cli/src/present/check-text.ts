import type { Checked } from "@melange2/build";
import { printable } from "@melange2/core";

export interface CheckTextOptions {
  readonly engines: readonly Checked[];
  readonly exporters: readonly Checked[];
  /** The engine that a build uses where no flag names another. */
  readonly engine: string;
  /** How a person gives an option of an exporter. */
  readonly optionFlag: (name: string) => string;
}

/** What each engine and each exporter lacks, with what mends it. */
export function checkText({ engines, exporters, engine, optionFlag }: CheckTextOptions): string {
  const lines = [
    "engines:",
    ...engines.flatMap((one) => checkedLines(one, one.name === engine ? " (the default)" : "", optionFlag)),
    "destinations:",
    ...exporters.flatMap((one) => checkedLines(one, "", optionFlag)),
  ];
  return lines.map((line) => `${printable(line)}\n`).join("");
}

function checkedLines(
  { name, usable, findings, needs }: Checked,
  note: string,
  optionFlag: (name: string) => string,
): readonly string[] {
  const state = needs ? `not checked, needs ${needs.map(optionFlag).join(", ")}` : usable ? "ok" : "cannot be used";
  return [
    `  ${name}${note}: ${state}`,
    ...findings.flatMap(({ severity, message, hint }) => [`    ${severity}: ${message}`, `      ${hint}`]),
  ];
}
