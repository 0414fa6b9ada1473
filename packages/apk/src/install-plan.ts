import { type ByteString, baseName, type LayerTree, parentPath, textOf } from "@melange2/oci";
import { parseConstraint, satisfies } from "./constraint.ts";
import { ApkError } from "./error.ts";
import type { ListedEntry, PackageListing } from "./package-listing.ts";
import { printable } from "./printable.ts";
import { parseVersion } from "./version.ts";

/** What of a package's files goes where. */
export interface PackagePlan {
  /** Paths, as the package has them, that another package's file is in the place of. */
  readonly leftOut: ReadonlySet<ByteString>;
  /** Of these, the files that hard links lead to which stay: the first such link has the content. */
  readonly linked: ReadonlySet<ByteString>;
  /** Where a path goes that leads through a link to a folder. */
  readonly moved: ReadonlyMap<ByteString, ByteString>;
}

export interface InstallPlan {
  /** One for each package, in the same order. */
  readonly packages: readonly PackagePlan[];
  /** Folders as they are to be in the end, by path. */
  readonly folders: ReadonlyMap<ByteString, ListedEntry>;
  /** What is at a path once everything is installed, links on the way followed: its kind; undefined: nothing. */
  kindAt(path: ByteString): ListedEntry["type"] | undefined;
  /** Throws `conflict` where a package brings a file below a folder that is to be a link. */
  refuseFilesBelow(folder: ByteString, why: string): void;
  /** The same path without links on the way. */
  placeOf(path: ByteString): ByteString;
}

/** Folders that every environment has, as apko makes them. */
export const systemFolders: readonly ListedEntry[] = (
  [
    ["tmp", 0o1777],
    ["dev", 0o755],
    ["etc", 0o755],
    ["opt", 0o755],
    ["var", 0o755],
    ["usr", 0o755],
    ["proc", 0o555],
    ["etc/apk", 0o755],
    ["etc/apk/keys", 0o755],
    ["usr/lib", 0o755],
    ["usr/lib/apk", 0o755],
    ["usr/lib/apk/db", 0o755],
    ["usr/lib/apk/exec", 0o755],
    ["var/cache", 0o755],
    ["var/cache/apk", 0o755],
    ["var/cache/misc", 0o755],
  ] as const
).map(([path, mode]) => ({ path, type: "directory", mode }));

/** A path that something is at. `owner`: which package put it there; undefined: the base, or what every environment has. */
interface Placed {
  readonly entry: ListedEntry;
  readonly owner: number | undefined;
}

/**
 * Decides, for packages in the order of installation on top of a base, which of them has which path. Two files of one path are no conflict where they
 * are the same, where one package says that it replaces the other, or where both are of one origin. Throws `conflict` elsewhere.
 */
export function planInstallation(
  packages: readonly PackageListing[],
  base: LayerTree<unknown> | undefined,
): InstallPlan {
  const planning = new Planning(packages, base);
  for (const index of packages.keys()) planning.install(index);
  for (const index of packages.keys()) planning.noteLinked(index);
  return planning;
}

class Planning implements InstallPlan {
  readonly packages: { leftOut: Set<ByteString>; linked: Set<ByteString>; moved: Map<ByteString, ByteString> }[];
  readonly folders = new Map<ByteString, ListedEntry>();
  readonly #listings: readonly PackageListing[];
  readonly #base: LayerTree<unknown> | undefined;
  readonly #placed = new Map<ByteString, Placed>();
  /** Where a folder's path really leads; forgotten as links come. */
  readonly #real = new Map<ByteString, ByteString>();

  constructor(listings: readonly PackageListing[], base: LayerTree<unknown> | undefined) {
    this.#listings = listings;
    this.#base = base;
    this.packages = listings.map(() => ({ leftOut: new Set(), linked: new Set(), moved: new Map() }));
    for (const folder of systemFolders)
      if (!this.#at(folder.path)) this.#putFolder(this.#follow(folder.path), folder, undefined);
  }

  install(index: number): void {
    const listing = this.#listings[index] as PackageListing;
    const files = new Set(listing.entries.filter(({ type }) => type !== "directory").map(({ path }) => path));
    const plan = this.packages[index] as (typeof this.packages)[number];
    for (const entry of listing.entries) {
      const real = this.placeOf(entry.path);
      if (real !== entry.path) plan.moved.set(entry.path, real);
      this.#makeParents(parentPath(real), entry, index);
      if (entry.type === "hardlink" && !files.has(entry.linkname ?? "")) throw this.#lostLink(entry, index);
      if (entry.type === "directory") this.#installFolder(real, entry, index, plan);
      else this.#installFile(real, entry, index, plan);
    }
  }

  noteLinked(index: number): void {
    const { leftOut, linked } = this.packages[index] as (typeof this.packages)[number];
    if (leftOut.size === 0) return;
    for (const { path, type, linkname = "" } of this.#listings[index]?.entries ?? [])
      if (type === "hardlink" && leftOut.has(linkname) && !leftOut.has(path)) linked.add(linkname);
  }

  kindAt(path: ByteString): ListedEntry["type"] | undefined {
    return this.#at(this.placeOf(path))?.entry.type;
  }

  refuseFilesBelow(folder: ByteString, why: string): void {
    for (const [path, { entry, owner }] of this.#placed)
      if (owner !== undefined && entry.type !== "directory" && path.startsWith(`${folder}/`))
        throw new ApkError("conflict", `${this.#label(owner)} has a file at ${shown(path)}, ${why}`, {
          hint: "Leave the package out: only apk may write there.",
        });
  }

  placeOf(path: ByteString): ByteString {
    const folder = this.#follow(parentPath(path));
    return folder === "" ? baseName(path) : `${folder}/${baseName(path)}`;
  }

  #at(path: ByteString): Placed | undefined {
    const placed = this.#placed.get(path);
    if (placed) return placed;
    const header = this.#base?.find(path)?.header;
    return header && { entry: { path, ...pickListed(header) }, owner: undefined };
  }

  #installFolder(real: ByteString, entry: ListedEntry, index: number, plan: { leftOut: Set<ByteString> }): void {
    const existing = this.#at(real);
    if (!existing) {
      this.#putFolder(real, entry, index);
      return;
    }
    if (existing.entry.type === "directory") {
      // The first to come decides how a folder is; its time is the last one's.
      const { time, ...rest } = existing.entry;
      this.#putFolder(real, { ...rest, ...(entry.time === undefined ? {} : { time: entry.time }) }, existing.owner);
      return;
    }
    const target = this.#follow(real);
    const reached = existing.entry.type === "symlink" ? this.#at(target) : undefined;
    if (reached?.entry.type === "directory") {
      plan.leftOut.add(entry.path);
      this.#installFolder(target, { ...entry, path: target }, index, plan);
    } else throw this.#conflict(real, existing, index, `a folder`);
  }

  #installFile(real: ByteString, entry: ListedEntry, index: number, plan: { leftOut: Set<ByteString> }): void {
    const existing = this.#at(real);
    if (existing?.entry.type === "directory") throw this.#conflict(real, existing, index, `a ${entry.type}`);
    if (existing !== undefined && existing.owner !== undefined && existing.owner !== index) {
      if (isSame(existing.entry, entry) || this.#replaces(existing.owner, index)) {
        plan.leftOut.add(entry.path);
        return;
      }
      if (!this.#replaces(index, existing.owner) && !this.#areOfOneOrigin(existing.owner, index))
        throw this.#conflict(real, existing, index, `a ${entry.type}`);
      (this.packages[existing.owner] as { leftOut: Set<ByteString> }).leftOut.add(existing.entry.path);
    }
    this.#placed.set(real, { entry, owner: index });
    // A link may take the place of what paths led through, or lead them elsewhere.
    if (entry.type === "symlink" || existing?.entry.type === "symlink") this.#real.clear();
  }

  #lostLink({ path, linkname = "" }: ListedEntry, index: number): ApkError {
    const message = `${this.#label(index)}: ${shown(path)} is a hard link to ${shown(linkname)}, which is no file of the package`;
    return new ApkError("package", message, { hint: "Ask whoever publishes the repository." });
  }

  #makeParents(folder: ByteString, entry: ListedEntry, index: number): void {
    if (folder === "") return;
    const existing = this.#at(folder)?.entry.type;
    if (existing === "directory") return;
    if (existing !== undefined)
      throw this.#conflict(folder, this.#at(folder) as Placed, index, `a folder, for ${shown(entry.path)}`);
    this.#makeParents(parentPath(folder), entry, index);
    const mode = entry.type === "directory" ? entry.mode : 0o755;
    this.#putFolder(folder, { path: folder, type: "directory", mode }, index);
  }

  #putFolder(real: ByteString, entry: ListedEntry, owner: number | undefined): void {
    const here = { ...entry, path: real };
    this.#placed.set(real, { entry: here, owner });
    this.folders.set(real, here);
  }

  /** The folder that a path leads to, as a process in the environment would find it. What does not exist stands as it is. */
  #follow(path: ByteString): ByteString {
    const known = this.#real.get(path);
    if (known !== undefined) return known;
    let pending = path.split("/");
    let real: ByteString[] = [];
    for (let links = 0; pending.length > 0; ) {
      const [name = "", ...rest] = pending;
      pending = rest;
      if (name === "" || name === ".") continue;
      if (name === "..") {
        real.pop();
        continue;
      }
      const found = this.#at([...real, name].join("/"))?.entry;
      if (found?.type === "symlink") {
        if (++links > 40)
          throw new ApkError("conflict", `the links on the way to ${shown(path)} lead in a circle`, {
            hint: "Leave out one of the packages that bring them.",
          });
        if (found.linkname?.startsWith("/")) real = [];
        pending = [...(found.linkname ?? "").split("/"), ...rest];
      } else real.push(name);
    }
    const result = real.join("/");
    this.#real.set(path, result);
    return result;
  }

  /** Whether a package says that its files take the place of the other's. */
  #replaces(index: number, other: number): boolean {
    const { info } = this.#listings[other] as PackageListing;
    const version = parseVersion(info.version);
    return (this.#listings[index] as PackageListing).info.replaces.map(parseConstraint).some((constraint) => {
      if (constraint.name !== info.name) return false;
      if (constraint.operator === "any") return true;
      const wanted = parseVersion(constraint.version);
      return version !== undefined && wanted !== undefined && satisfies(version, constraint.operator, wanted);
    });
  }

  #areOfOneOrigin(a: number, b: number): boolean {
    return this.#listings[a]?.info.origin === this.#listings[b]?.info.origin;
  }

  #conflict(path: ByteString, existing: Placed, index: number, what: string): ApkError {
    const owner =
      existing.owner === undefined ? (this.#base ? "the base" : "every environment") : this.#label(existing.owner);
    const message = `${this.#label(index)} has ${what} at ${shown(path)}, where ${owner} has a ${kinds[existing.entry.type]}`;
    return new ApkError("conflict", message, {
      hint: "Leave one of them out: neither says that it replaces the other.",
    });
  }

  #label(index: number): string {
    const { name, version } = (this.#listings[index] as PackageListing).info;
    return printable(`${name}-${version}`);
  }
}

const kinds: Readonly<Record<ListedEntry["type"], string>> = {
  file: "file",
  hardlink: "file",
  symlink: "link",
  directory: "folder",
  character: "device",
  block: "device",
  fifo: "FIFO",
};

function pickListed(header: {
  readonly type: ListedEntry["type"];
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: bigint;
  readonly linkname: ByteString;
}): Omit<ListedEntry, "path"> {
  const { type, mode, uid, gid, mtime, linkname } = header;
  return { type, mode, uid, gid, time: Number(mtime / 1_000_000_000n), linkname };
}

function isSame(a: ListedEntry, b: ListedEntry): boolean {
  if (a.type !== b.type) return false;
  if (a.type === "symlink") return a.linkname === b.linkname;
  return a.checksum !== undefined && a.checksum === b.checksum;
}

function shown(path: ByteString): string {
  return printable(`/${textOf(path)}`);
}
