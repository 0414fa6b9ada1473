/** What every entry of a directory tree has. */
export interface EntryAttributes {
  /** Relative to the tree's root, with slashes, without `.` and `..`. */
  readonly path: string;
  /** Permission bits with setuid, setgid and sticky, as in chmod(2). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  readonly xattrs?: Readonly<Record<string, Uint8Array>>;
}

export type TreeEntry = EntryAttributes &
  (
    | { readonly type: "directory" }
    | {
        readonly type: "file";
        readonly size: number;
        /** Exactly `size` bytes; called at most once for each time the tree is sent. */
        open(): AsyncIterable<Uint8Array>;
      }
    | { readonly type: "hardlink" /** Path of the entry before it that is the same file. */; readonly target: string }
    | { readonly type: "symlink"; readonly target: string }
    | { readonly type: "fifo" }
    | { readonly type: "socket" /** Arrives as an empty file. */ }
    | {
        readonly type: "device";
        readonly device: "block" | "character";
        readonly major: number;
        readonly minor: number;
      }
  );

/** A directory as a daemon can take it. Only its entries can be asked for. */
export interface Tree {
  /**
   * In any order; directories above an entry are entries themselves. Called once for each time the tree is sent. What is in a directory that
   * is not to be entered may be left out, so that nobody has to read it.
   */
  entries(how: { enter(directory: string): boolean }): Iterable<TreeEntry> | AsyncIterable<TreeEntry>;
}

/**
 * In the order of the wire: depth first, names by their bytes, so that a directory comes right before what is in it.
 * Not the order of the paths as texts, where `a.b` comes before `a/b`.
 */
export function inWireOrder(entries: readonly TreeEntry[]): readonly TreeEntry[] {
  return entries
    .map((entry) => ({ entry, key: Buffer.from(entry.path.replaceAll("/", "\0")) }))
    .sort((a, b) => Buffer.compare(a.key, b.key))
    .map(({ entry }) => entry);
}
