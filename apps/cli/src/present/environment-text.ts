import { bytes, type EnvironmentPackage } from "@melange2/build";
import type { Receipt } from "@melange2/core";
import { printableText } from "./printable-text.ts";
import { shellQuote } from "./shell-quote.ts";

/** `NAME=VERSION`, a line each. */
export function packagesText(packages: readonly EnvironmentPackage[]): string {
  return printableText(packages.map(({ name, version }) => `${name}=${version}\n`).join(""));
}

export function environmentReceipt({ location, imageId, bytes: moved, open }: Receipt): string {
  const lines = [
    `exported to ${location}${moved > 0 ? ` (${bytes(moved)})` : ""}`,
    `  image ${imageId}`,
    ...open.map((words) => `  ${shellQuote(words)}`),
  ];
  return `${printableText(lines.join("\n"))}\n`;
}
