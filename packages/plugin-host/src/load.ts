import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type CaptureStrategy, type EngineFactory, type Exporter, MelangeError } from "@melange2/core";
import { type Contribution, type Contributions, singular } from "./contributions.ts";
import type { Kind } from "./manifest.ts";

/** The contribution of this name. Rejects with code `plugin` (present but unusable) or `usage` (nobody has it; what there is is listed). */
export function findContribution(from: Contributions, kind: Kind, name: string): Contribution {
  const found = from.all.find((one) => one.kind === kind && one.name === name);
  if (found) return found;
  const problem = from.problems.find((one) => one.names.some((other) => other.kind === kind && other.name === name));
  if (problem) {
    throw new MelangeError("plugin", `${singular(kind)} "${name}" cannot be used: ${problem.message}`, {
      hint: `Repair ${problem.plugin.name} or uninstall it: melange2 plugins uninstall ${problem.plugin.name}`,
    });
  }
  const known = from.all.filter((one) => one.kind === kind).map((one) => one.name);
  // What a plugin that cannot even be read would have offered, nobody knows.
  const unread = from.problems.filter(({ names }) => names.length === 0);
  throw new MelangeError("usage", `there is no ${singular(kind)} "${name}"`, {
    problems: unread.map(({ plugin, message }) => ({
      message: `the plugin ${plugin.name} cannot be used: ${message}`,
    })),
    hint: `There is: ${known.join(", ")}. A plugin that brings another is installed with: melange2 plugins install PACKAGE`,
  });
}

export async function loadExporter(contribution: Contribution): Promise<Exporter> {
  return checked(contribution, await importDefault(contribution), ["prepare", "options"]) as Exporter;
}

export async function loadCapture(contribution: Contribution): Promise<CaptureStrategy> {
  return checked(contribution, await importDefault(contribution), ["capture"]) as CaptureStrategy;
}

export async function loadEngine(contribution: Contribution): Promise<EngineFactory> {
  return checked(contribution, await importDefault(contribution), ["create", "options"]) as EngineFactory;
}

async function importDefault(contribution: Contribution): Promise<unknown> {
  const file = join(contribution.plugin.root, contribution.module);
  try {
    const module = (await import(pathToFileURL(file).href)) as { default?: unknown };
    return module.default;
  } catch (cause) {
    throw unusable(
      contribution,
      `${contribution.module} cannot be imported: ${cause instanceof Error ? cause.message : cause}`,
      cause,
    );
  }
}

function checked(contribution: Contribution, value: unknown, members: readonly string[]): object {
  if (typeof value !== "object" || value === null) throw unusable(contribution, "its default export is not an object");
  const object = value as Record<string, unknown>;
  const missing = members.filter((member) => object[member] === undefined);
  if (missing.length > 0) throw unusable(contribution, `its default export has no ${missing.join(", ")}`);
  if (object.contract !== 1)
    throw unusable(contribution, `it was made for contract ${object.contract}, this version has contract 1`);
  if (object.name !== contribution.name) {
    throw unusable(contribution, `it calls itself "${object.name}", its package.json says "${contribution.name}"`);
  }
  return value;
}

function unusable(contribution: Contribution, why: string, cause?: unknown): MelangeError {
  const { kind, name, plugin } = contribution;
  return new MelangeError(
    "plugin",
    `${singular(kind)} "${name}" of ${plugin.name} ${plugin.version} cannot be used: ${why}`,
    {
      hint: `Its folder is ${plugin.root}. Update it, or remove it: melange2 plugins uninstall ${plugin.name}`,
      cause,
    },
  );
}
