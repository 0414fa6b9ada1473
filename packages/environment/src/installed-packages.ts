/** The packages of a base, from its own database. Plain data. */
export interface Installed {
  readonly database: "apk" | "dpkg" | "none";
  readonly packages: readonly InstalledPackage[];
}

export interface InstalledPackage {
  readonly name: string;
  readonly version: string;
  /** As the database says: `so:libc.so.6=6`, `cmd:sh=1.2`, `awk`. */
  readonly provides: readonly string[];
}

/** The files that hold a database, apk's in both of its places, dpkg's also in the split form of small images. */
export const databasePaths =
  /^(?:(?:usr\/)?lib\/apk\/db\/installed|var\/lib\/dpkg\/status|var\/lib\/dpkg\/status\.d\/[^/]+)$/;

/** `files`: path to text. apk's database wins where there are both: recipes name apk packages. */
export function installedFrom(files: ReadonlyMap<string, string>): Installed {
  const of = (kind: string) => [...files].filter(([path]) => path.includes(kind)).map(([, text]) => text);
  const apk = of("lib/apk/db/");
  if (apk.length > 0) return { database: "apk", packages: apk.flatMap(apkPackages) };
  const dpkg = of("lib/dpkg/");
  if (dpkg.length > 0) return { database: "dpkg", packages: dpkg.flatMap(dpkgPackages) };
  return { database: "none", packages: [] };
}

/** `P:`, `V:` and `p:` lines, packages separated by empty lines. */
function apkPackages(text: string): readonly InstalledPackage[] {
  return text.split(/\n{2,}/).flatMap((block) => {
    const field = (letter: string) => new RegExp(`^${letter}:(.*)$`, "m").exec(block)?.[1]?.trim() ?? "";
    const name = field("P");
    return name ? [{ name, version: field("V"), provides: field("p").split(/\s+/).filter(Boolean) }] : [];
  });
}

/** Packages that are unpacked and configured; `Provides` without versions, as only names are compared. */
function dpkgPackages(text: string): readonly InstalledPackage[] {
  return text.split(/\n{2,}/).flatMap((block) => {
    const field = (name: string) => new RegExp(`^${name}:(.*)$`, "m").exec(block)?.[1]?.trim() ?? "";
    const name = field("Package");
    const status = field("Status");
    // The split form of small images has no status line: what is there is installed.
    if (!name || (status !== "" && !status.endsWith(" installed"))) return [];
    const provides = field("Provides")
      .split(",")
      .map((one) => one.trim().split(/\s/, 1)[0] ?? "");
    return [{ name, version: field("Version"), provides: provides.filter(Boolean) }];
  });
}
