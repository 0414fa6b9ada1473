import { printable } from "@melange2/core";
import type { Broken, Inventory, Offer, Source } from "../plugins/inventory.ts";
import type { ListedOption } from "../plugins/option-listing.ts";

export function inventoryText({ offers, broken }: Inventory): string {
  const width = Math.max(0, ...offers.map(({ name }) => name.length)) + 2;
  const lines = offers.flatMap(({ name, summary, ...source }) => [
    `${name.padEnd(width)}${summary}`,
    `${" ".repeat(width)}${sourceText(source)}`,
  ]);
  return text([...lines, ...(broken.length > 0 ? ["cannot be used:"] : []), ...broken.flatMap(brokenLines)]);
}

function brokenLines({ names, reason, ...source }: Broken): readonly string[] {
  const what = names.length > 0 ? `${names.join(", ")}, of ` : "";
  return [`  ${what}${sourceText(source)}`, `    ${reason}`];
}

export function offerText({ name, summary, ...source }: Offer, options: readonly ListedOption[]): string {
  return text([
    `${name}: ${summary}`,
    `  ${sourceText(source)}`,
    options.length > 0 ? "options:" : "no options",
    ...options.flatMap((option) => [
      `  ${usageOf(option)}${variablesOf(option)}`,
      `      ${option.description}`,
      `      ${expectedOf(option)}`,
    ]),
  ]);
}

function variablesOf({ env, otherEnv }: ListedOption): string {
  const variables = [env, otherEnv].filter((variable) => variable !== undefined);
  return variables.length === 0 ? "" : `  [env: ${variables.join(", ")}]`;
}

function usageOf({ flag, type }: ListedOption): string {
  const own = !flag.includes(" ");
  if (type === "boolean" && own) return flag;
  return `${flag}=${type === "boolean" ? "true" : "VALUE"}${type === "list" ? " …" : ""}`;
}

function expectedOf({ type, values, pattern, required, default: fallback }: ListedOption): string {
  const kind = values ? values.join(" | ") : pattern ? `${type} like ${pattern}` : type;
  if (required) return `${kind}, required`;
  return fallback === undefined ? kind : `${kind}, default ${[fallback].flat().join(", ")}`;
}

function sourceText({ package: name, version, origin, root }: Source): string {
  return `${name} ${version}`.trim().concat(`, ${origin}, ${root}`);
}

function text(lines: readonly string[]): string {
  return lines.map((line) => `${printable(line)}\n`).join("");
}
