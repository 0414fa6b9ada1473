import { isMelangeError } from "@melange2/core";
import type { Contribution, Contributions, Kind } from "@melange2/plugin-host";

/** Where something comes from. */
export interface Source {
  readonly package: string;
  readonly version: string;
  /** `built-in`, `installed`, `linked`. */
  readonly origin: string;
  readonly root: string;
}

export interface Offer extends Source {
  readonly name: string;
  readonly summary: string;
}

export interface Broken extends Source {
  /** What it would have brought, where that is known. */
  readonly names: readonly string[];
  readonly reason: string;
}

export interface Inventory {
  readonly offers: readonly Offer[];
  readonly broken: readonly Broken[];
}

/** Everything of one kind that is there. Imports each of them: only so is it known which of them work. */
export async function inventory(
  contributions: Contributions,
  kind: Kind,
  load: (contribution: Contribution) => Promise<{ readonly summary: string }>,
): Promise<Inventory> {
  const offers: Offer[] = [];
  const broken: Broken[] = [];
  for (const contribution of contributions.all.filter((one) => one.kind === kind)) {
    const source = sourceOf(contribution.plugin);
    try {
      const { summary } = await load(contribution);
      offers.push({ name: contribution.name, summary, ...source });
    } catch (error) {
      if (!isMelangeError(error)) throw error;
      broken.push({ names: [contribution.name], reason: error.message, ...source });
    }
  }
  for (const { plugin, message, names } of contributions.problems) {
    const own = names.filter((one) => one.kind === kind).map(({ name }) => name);
    if (names.length === 0 || own.length > 0) broken.push({ names: own, reason: message, ...sourceOf(plugin) });
  }
  return { offers, broken };
}

export function sourceOf(plugin: Omit<Contribution["plugin"], "manifest">): Source {
  return { package: plugin.name, version: plugin.version, origin: plugin.origin, root: plugin.root };
}
