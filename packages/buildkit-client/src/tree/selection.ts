import { posix } from "node:path";
import type { TreeEntry } from "./entry.ts";
import { patternMatcher } from "./pattern.ts";

/** What a local source asks for of a tree; all of it where nothing is named. */
export interface Wanted {
  /** Patterns as in .dockerignore. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Paths, names in them perhaps with wildcards, and what the symlinks on the way lead to. */
  readonly follow: readonly string[];
}

export interface Selection {
  /** Whether anything in a directory can be wanted. */
  enters(directory: string): boolean;
  /** The entries that are wanted and the directories above them, in the same order. A link to a file that is left out becomes the file. */
  from(entries: readonly TreeEntry[]): readonly TreeEntry[];
}

/** Throws for a pattern that is none. */
export function selection({ include, exclude, follow }: Wanted): Selection {
  const excluded = patternMatcher(exclude);
  const takesBack = exclude.some((pattern) => pattern.trim().startsWith("!"));
  return {
    enters: (directory) => takesBack || !excluded(directory),
    from(entries) {
      if (include.length + exclude.length + follow.length === 0) return entries;
      const byPath = new Map(entries.map((entry) => [entry.path, entry]));
      const wanted = wantedPatterns(include, followed(byPath, follow));
      const included = wanted.length === 0 ? () => true : patternMatcher(wanted);
      const kept = new Set<string>();
      for (const { path } of entries) {
        if (!included(path) || excluded(path)) continue;
        for (let at = path; at !== root && !kept.has(at); at = posix.dirname(at)) kept.add(at);
      }
      const moved = new Map<string, string>();
      return entries.filter(({ path }) => kept.has(path)).map((entry) => relinked(entry, byPath, kept, moved));
    },
  };
}

const root = ".";

/** None: all is wanted. As Docker has it, beside paths to follow the tree's root is all of it, and what lies below the pattern before says nothing. */
function wantedPatterns(include: readonly string[], found: ReadonlySet<string>): readonly string[] {
  if (found.size === 0 || found.has(root)) return include;
  const patterns = [...include, ...[...found].sort()];
  if (patterns.includes(root)) return [];
  const wanted: string[] = [];
  for (const pattern of patterns) if (!pattern.startsWith(`${wanted.at(-1)}/`)) wanted.push(pattern);
  return wanted;
}

/** `moved`: where a file that is left out is now, at the first link to it. */
function relinked(
  entry: TreeEntry,
  byPath: ReadonlyMap<string, TreeEntry>,
  kept: ReadonlySet<string>,
  moved: Map<string, string>,
): TreeEntry {
  if (entry.type !== "hardlink" || kept.has(entry.target)) return entry;
  const target = moved.get(entry.target);
  if (target !== undefined) return { ...entry, target };
  const file = byPath.get(entry.target);
  if (file === undefined) return entry;
  moved.set(entry.target, entry.path);
  return { ...file, path: entry.path };
}

/** The paths themselves, every symlink on the way to them, and where those lead; one that was met before is not followed again. */
function followed(byPath: ReadonlyMap<string, TreeEntry>, paths: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const follow = (path: string): void => {
    const names = posix
      .join("/", path)
      .split("/")
      .filter((name) => name !== "");
    if (names.length === 0) return void found.add(root);
    for (const [index, above] of pathsTo(names.join("/")).entries()) {
      const targets = linksAt(byPath, above);
      if (targets.length === 0 && index < names.length - 1) continue;
      if (found.has(above)) return;
      found.add(above);
      for (const target of targets) follow(posix.join(target, ...names.slice(index + 1)));
      if (targets.length > 0) return;
    }
  };
  for (const path of paths) follow(path);
  return found;
}

/** Where the symlinks of this path lead, from the root of the tree; its last name may hold wildcards. */
function linksAt(byPath: ReadonlyMap<string, TreeEntry>, path: string): readonly string[] {
  const links = /[*?[]/.test(posix.basename(path)) ? matching(byPath, path) : [byPath.get(path)];
  return links.flatMap((entry) =>
    entry?.type === "symlink" ? [posix.resolve("/", posix.dirname(entry.path), entry.target)] : [],
  );
}

function matching(byPath: ReadonlyMap<string, TreeEntry>, path: string): readonly TreeEntry[] {
  const directory = posix.dirname(path);
  const matches = patternMatcher([posix.basename(path)]);
  return [...byPath.values()].filter(
    (entry) => posix.dirname(entry.path) === directory && matches(posix.basename(entry.path)),
  );
}

/** A path's directories, the topmost first, and itself. */
function pathsTo(path: string): readonly string[] {
  const names = path.split("/");
  return names.map((_, index) => names.slice(0, index + 1).join("/"));
}
