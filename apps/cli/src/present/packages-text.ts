import type { PackageDifference } from "@melange2/build";
import type { FailureRecord, PackageRecord } from "@melange2/core";
import { printableText } from "./printable-text.ts";

/** A line for each package of each environment: what it is and where it is from. */
export function packagesOf({ environments }: FailureRecord): string {
  const lines = Object.entries(environments).flatMap(([name, { packages }]) => [
    `environment ${name}:`,
    ...(packages === undefined
      ? ["  its packages are not known: the base brought what is in it"]
      : packages.map((one) => `  ${one.name}=${one.version}${from(one)}`)),
  ]);
  return `${printableText(lines.join("\n"))}\n`;
}

export function differencesText(differences: readonly PackageDifference[]): string {
  if (differences.length === 0) return "the environments have the same packages\n";
  const lines = differences.map(({ environment, name, before, after }) => {
    const where = environment === "build" ? "" : `${environment}: `;
    if (!before) return `+ ${where}${name} ${after?.version}${after ? from(after) : ""}`;
    if (!after) return `- ${where}${name} ${before.version}`;
    const same = before.version === after.version;
    return `~ ${where}${name} ${before.version} -> ${after.version}${same ? " (the same version with other content)" : from(after)}`;
  });
  return `${printableText(lines.join("\n"))}\n`;
}

function from({ origin, name, repository }: PackageRecord): string {
  const parts = [
    ...(origin && origin !== name ? [`of ${origin}`] : []),
    ...(repository ? [`from ${repository}`] : ["of the base"]),
  ];
  return `  (${parts.join(", ")})`;
}
