import { type ByteString, baseName, parentPath } from "@melange2/oci";
import type { PackageListing } from "./package-listing.ts";

/**
 * What apk's database says of installed packages, in the format of `/lib/apk/db/installed`: a record a package, its fields, its folders and their
 * files, and an empty line. `leftOut`: files that another package's are in the place of, one set for each package.
 */
export function installedDatabase(
  listings: readonly PackageListing[],
  leftOut: readonly ReadonlySet<ByteString>[],
): string {
  return listings.map((listing, index) => record(listing, leftOut[index] ?? new Set())).join("");
}

function record(listing: PackageListing, leftOut: ReadonlySet<ByteString>): string {
  const { info, checksum, fileSize } = listing;
  const optional = (letter: string, value: string | number) => (value ? [`${letter}:${value}`] : []);
  const lines = [
    `P:${info.name}`,
    `V:${info.version}`,
    `A:${info.architecture}`,
    `L:${info.license}`,
    `T:${info.description}`,
    `o:${info.origin}`,
    `m:${info.maintainer}`,
    `U:${info.url}`,
    `D:${info.depends.join(" ")}`,
    `p:${info.provides.join(" ")}`,
    ...optional("r", info.replaces.join(" ")),
    `c:${info.commit}`,
    ...optional("i", info.installIf.join(" ")),
    `t:${info.buildTime}`,
    `S:${fileSize}`,
    `I:${info.installedSize}`,
    `k:${info.providerPriority}`,
    `C:${shortChecksum(checksum)}`,
    ...fileLines(listing, leftOut),
  ];
  return `${lines.map((line) => line.replaceAll("\n", " ")).join("\n")}\n\n`;
}

/** `Q1` and base64 of a SHA-1 in hex, as apk writes checksums. */
export function shortChecksum(hex: string): string {
  return `Q1${Buffer.from(hex, "hex").toString("base64")}`;
}

/** Folders in byte order, each before those in it, and with it its files. Files of a folder that the package does not list are left out. */
function fileLines({ entries }: PackageListing, leftOut: ReadonlySet<ByteString>): string[] {
  const files = new Map<ByteString, (typeof entries)[number][]>();
  const folders = new Map<ByteString, (typeof entries)[number]>();
  for (const entry of entries) {
    if (entry.type === "directory") folders.set(entry.path, entry);
    else if (!leftOut.has(entry.path)) {
      const parent = parentPath(entry.path);
      files.set(parent, [...(files.get(parent) ?? []), entry]);
    }
  }
  const lines: string[] = [];
  const atRoot = files.get("");
  if (atRoot) lines.push("F:", ...atRoot.sort(byPath).flatMap(linesOfFile));
  for (const folder of [...folders.values()].sort(byComponents)) {
    lines.push(`F:${text(folder.path)}`, ...access("M", folder, 0o755));
    lines.push(...(files.get(folder.path) ?? []).sort(byPath).flatMap(linesOfFile));
  }
  return lines;
}

function linesOfFile(entry: PackageListing["entries"][number]): string[] {
  const checksum = entry.checksum === undefined ? [] : [`Z:${shortChecksum(entry.checksum)}`];
  return [`R:${text(baseName(entry.path))}`, ...access("a", entry, 0o644), ...checksum];
}

function access(
  letter: string,
  { uid = 0, gid = 0, mode }: PackageListing["entries"][number],
  usual: number,
): string[] {
  if (uid === 0 && gid === 0 && mode === usual) return [];
  return [`${letter}:${uid}:${gid}:${mode.toString(8).padStart(4, "0")}`];
}

function byPath(a: { readonly path: ByteString }, b: { readonly path: ByteString }): number {
  return a.path < b.path ? -1 : 1;
}

/** A folder comes before what is in it, and before its neighbours whose names only go on. */
function byComponents(a: { readonly path: ByteString }, b: { readonly path: ByteString }): number {
  return a.path.replaceAll("/", "\0") < b.path.replaceAll("/", "\0") ? -1 : 1;
}

/** Of a byte string, the text whose UTF-8 it is: the database is written as UTF-8. */
function text(path: ByteString): string {
  return Buffer.from(path, "latin1").toString("utf8");
}
