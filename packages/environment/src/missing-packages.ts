import type { Installed, InstalledPackage } from "./installed-packages.ts";

/** Which of the recipe's packages a base lacks, as far as its database tells. */
export interface MissingPackages {
  /** As the recipe spells them, in its order, each once. */
  readonly atoms: readonly string[];
  readonly database: Installed["database"];
  /** One sentence: what was compared, and how exactly. */
  readonly note: string;
}

/**
 * Compares dependency atoms with what is installed. apk: names and provides (`so:`, `cmd:`, `pc:` too), `=` and `~` by version, `<` and `>` by name alone.
 * dpkg: names alone. No database: nothing is known to be there, so everything is listed.
 */
export function missingPackages(atoms: readonly string[], installed: Installed): MissingPackages {
  const offers = new Map<string, string[]>();
  for (const one of installed.packages)
    for (const [name, version] of offersOf(one)) offers.set(name, [...(offers.get(name) ?? []), version]);
  const lacking = atoms.filter((atom) => !satisfied(atom, offers, installed.database));
  return { atoms: [...new Set(lacking)], database: installed.database, note: notes[installed.database] };
}

const notes: Readonly<Record<Installed["database"], string>> = {
  apk: "compared with the base's apk database",
  dpkg: "compared by name alone with the base's dpkg database: Debian may have the same software under another name",
  none: "the base has no package database (apk, dpkg): what the recipe needs may be there all the same",
};

function offersOf(one: InstalledPackage): readonly (readonly [string, string])[] {
  return [[one.name, one.version] as const, ...one.provides.map(nameAndVersion)];
}

function nameAndVersion(provides: string): readonly [string, string] {
  const [name = "", version = ""] = provides.split("=", 2);
  return [name, version];
}

function satisfied(
  atom: string,
  offers: ReadonlyMap<string, readonly string[]>,
  database: Installed["database"],
): boolean {
  const [, conflict, name = "", operator = "", version = ""] =
    /^(!?)([^\s=<>~@!]+)\s*([=<>~]*)\s*([^\s@]*)/.exec(atom.trim()) ?? [];
  const found = offers.get(name);
  if (conflict) return !found;
  if (!found) return false;
  if (database === "dpkg") return true;
  if (operator === "=") return found.includes(version);
  if (operator === "~" || operator === "=~" || operator === "~=") return found.some((one) => startsLike(one, version));
  return true;
}

/** `1.2` fits 1.2, 1.2.3 and 1.2-r1, but not 1.20. */
function startsLike(version: string, wanted: string): boolean {
  return version.startsWith(wanted) && !/^[0-9a-z]/.test(version.slice(wanted.length));
}
