import type { ByteString, TarEntryType, TarHeader } from "@melange2/oci";
import { noXattrs, tarHeader } from "@melange2/oci";
import type { PackageInfo } from "./package-info.ts";

/** What is known of a package once its file was read: enough to plan an installation, small enough to keep. Plain data. */
export interface PackageListing {
  readonly info: PackageInfo;
  /** SHA-1 of the control member, lowercase hex. */
  readonly checksum: string;
  /** Bytes of the package file. */
  readonly fileSize: number;
  readonly scripts: readonly ListedScript[];
  /** Of a package that brings /bin/busybox: what its links are made of. */
  readonly busybox?: ListedBusybox | undefined;
  /** In the package's order. */
  readonly entries: readonly ListedEntry[];
}

export interface ListedBusybox {
  /** The text of its list under /etc/busybox-paths.d. */
  readonly listed?: string;
  /** The names that the program itself has; empty where there is a list. */
  readonly applets: readonly string[];
  /** Seconds since 1970, of the program. */
  readonly time: number;
}

export interface ListedScript {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** base64 */
  readonly content: string;
}

/** A header without what planning never asks for. Optional fields are left out where they are 0 or empty. */
export interface ListedEntry {
  readonly path: ByteString;
  readonly type: TarEntryType;
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since 1970. */
  readonly time?: number;
  readonly linkname?: ByteString;
  /** SHA-1 that the package records, lowercase hex. */
  readonly checksum?: string;
  /** Attributes of folders alone, values in base64. */
  readonly xattrs?: readonly (readonly [ByteString, string])[];
}

export function listedEntry(header: TarHeader, checksum: string | undefined): ListedEntry {
  const { name, type, mode, uid, gid, mtime, linkname, xattrs } = header;
  const attributes = [...xattrs].map(([key, value]) => [key, Buffer.from(value).toString("base64")] as const);
  return {
    path: name,
    type,
    mode,
    ...(uid === 0 ? {} : { uid }),
    ...(gid === 0 ? {} : { gid }),
    ...(mtime === 0n ? {} : { time: Number(mtime / 1_000_000_000n) }),
    ...(linkname === "" ? {} : { linkname }),
    ...(checksum === undefined ? {} : { checksum }),
    ...(type === "directory" && attributes.length > 0 ? { xattrs: attributes } : {}),
  };
}

/** A folder's header again. */
export function folderHeader({ path, mode, uid = 0, gid = 0, time = 0, xattrs = [] }: ListedEntry): TarHeader {
  return tarHeader({
    name: path,
    type: "directory",
    mode,
    uid,
    gid,
    mtime: BigInt(time) * 1_000_000_000n,
    xattrs: xattrs.length === 0 ? noXattrs : new Map(xattrs.map(([key, value]) => [key, Buffer.from(value, "base64")])),
  });
}
