import type { Bytes } from "./bytes.ts";

/**
 * Bytes as a string, one character (U+0000 to U+00FF) a byte: names in a tar may be in any encoding and must survive. ASCII text is its own
 * byte string; {@link byteString} and {@link textOf} convert the rest.
 */
export type ByteString = string;

export type TarEntryType = "file" | "hardlink" | "symlink" | "character" | "block" | "directory" | "fifo";

/** One entry's metadata, the same whichever of the tar dialects it was written in. */
export interface TarHeader {
  /** As in the archive, but without a slash at the end. */
  readonly name: ByteString;
  readonly type: TarEntryType;
  /** Permission, set-id and sticky bits: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the body; 0 for everything but files. */
  readonly size: number;
  /** Nanoseconds since 1970; may be negative. */
  readonly mtime: bigint;
  /** Target of a hard or symbolic link, else empty. */
  readonly linkname: ByteString;
  readonly uname: ByteString;
  readonly gname: ByteString;
  /** Device numbers of character and block devices, else 0. */
  readonly major: number;
  readonly minor: number;
  /** Extended attributes: full name (`user.x`, `security.capability`) to value, any bytes. */
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
}

/** An entry as it comes out of a tar. `body` can be read once, before the next entry is asked for; what is not read is skipped. */
export interface TarEntry {
  readonly header: TarHeader;
  readonly body: Bytes;
  /** Where the body begins in the tar, in bytes. */
  readonly bodyOffset: number;
  /** Records of the extended header before the entry, those that the header has understood among them; undefined where there are none. */
  readonly records?: ReadonlyMap<ByteString, Uint8Array>;
}

/** An entry on its way into a tar; `body` must give exactly `header.size` bytes. */
export interface TarInput {
  readonly header: TarHeader;
  readonly body?: Uint8Array | Iterable<Uint8Array> | Bytes | undefined;
}

export const noXattrs: ReadonlyMap<ByteString, Uint8Array> = new Map();

/** A header from what matters: root's, from 1970, 0755 for directories, 0777 for symlinks, else 0644. */
export function tarHeader(fields: Pick<TarHeader, "name" | "type"> & Partial<TarHeader>): TarHeader {
  const mode = fields.type === "directory" ? 0o755 : fields.type === "symlink" ? 0o777 : 0o644;
  return {
    mode,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: 0n,
    linkname: "",
    uname: "",
    gname: "",
    major: 0,
    minor: 0,
    xattrs: noXattrs,
    ...fields,
  };
}

/** The UTF-8 bytes of a text. */
export function byteString(text: string): ByteString {
  return /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

/** For people: the text where the bytes are UTF-8, else bytes above 127 as replacement characters. */
export function textOf(bytes: ByteString): string {
  return /^[\x00-\x7f]*$/.test(bytes) ? bytes : Buffer.from(bytes, "latin1").toString("utf8");
}

/** A body that is all in memory: a stream to everybody, and to the writer something it need not wait for. */
export class WholeBody implements AsyncIterable<Uint8Array> {
  readonly content: Uint8Array;

  constructor(content: Uint8Array) {
    this.content = content;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array, void, undefined> {
    if (this.content.length > 0) yield this.content;
  }
}
