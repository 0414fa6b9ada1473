import { ApkError } from "./error.ts";
import { quoted } from "./printable.ts";

/** What a package says of itself in its `.PKGINFO`. Absent texts are empty, absent numbers 0. */
export interface PackageInfo {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly license: string;
  readonly description: string;
  readonly origin: string;
  readonly maintainer: string;
  readonly url: string;
  readonly commit: string;
  /** Seconds since 1970. */
  readonly buildTime: number;
  /** Bytes of the package's files, unpacked. */
  readonly installedSize: number;
  readonly providerPriority: number;
  readonly depends: readonly string[];
  readonly provides: readonly string[];
  readonly installIf: readonly string[];
  readonly replaces: readonly string[];
  /** Folders whose changes run the package's trigger script. */
  readonly triggers: readonly string[];
  /** SHA-256 of the compressed data member, lowercase hex; empty where the package has no data. */
  readonly dataHash: string;
}

const texts = {
  name: "pkgname",
  version: "pkgver",
  architecture: "arch",
  license: "license",
  description: "pkgdesc",
  origin: "origin",
  maintainer: "maintainer",
  url: "url",
  commit: "commit",
  dataHash: "datahash",
} as const;
const numbers = { buildTime: "builddate", installedSize: "size", providerPriority: "provider_priority" } as const;
const lists = {
  depends: "depend",
  provides: "provides",
  installIf: "install_if",
  replaces: "replaces",
  triggers: "triggers",
} as const;

/**
 * Reads a `.PKGINFO`: lines `KEY = VALUE`, comments begin with `#`. Of a text that is said several times the last counts; lists grow line by line,
 * and a line may have several items between blanks. Unknown keys are left out. Throws `package` for a package without name or version.
 */
export function parsePackageInfo(text: string, what: string): PackageInfo {
  const said = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [, key, value = ""] = /^([a-z_]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key !== undefined) said.set(key, [...(said.get(key) ?? []), value]);
  }
  const text1 = (key: string) => said.get(key)?.at(-1) ?? "";
  const pick = <T>(keys: Readonly<Record<string, string>>, read: (key: string) => T) =>
    Object.fromEntries(Object.entries(keys).map(([field, key]) => [field, read(key)]));
  const info = {
    ...pick(texts, text1),
    ...pick(numbers, (key) => wholeNumber(text1(key), key, what)),
    ...pick(lists, (key) => (said.get(key) ?? []).flatMap((value) => value.split(/\s+/)).filter(Boolean)),
  } as unknown as PackageInfo;
  if (info.name === "" || info.version === "")
    throw new ApkError("package", `${what} says no name or no version of itself`, {
      hint: "Ask whoever publishes the repository.",
    });
  return info;
}

function wholeNumber(value: string, key: string, what: string): number {
  if (value === "") return 0;
  if (/^[0-9]{1,15}$/.test(value)) return Number(value);
  throw new ApkError("package", `${what}: ${key} is no whole number: ${quoted(value)}`, {
    hint: "Ask whoever publishes the repository.",
  });
}
