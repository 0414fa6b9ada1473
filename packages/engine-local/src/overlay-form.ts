import {
  type ByteString,
  baseName,
  entryPath,
  type TarEntry,
  type TarHeader,
  type TarInput,
  tarHeader,
  whiteoutHeader,
  whiteoutOf,
} from "@melange2/oci";

// A layer has two forms: the tar of the OCI specification, where `.wh.NAME` says that NAME is gone, and the directory that
// overlay mounts, where a character device 0,0 does, and an attribute that a directory hides what is below it.

const markerPrefix = ".wh.";

export interface OverlayMarks {
  /** Name of the attribute that makes a directory opaque: `trusted.overlay.opaque`, or with `user.`. */
  readonly opaque: ByteString;
  /** Whether this entry can be made here: devices cannot, inside a user namespace. */
  readonly possible: (header: TarHeader) => boolean;
  /** Whether this attribute may be set here. */
  readonly settable: (xattr: ByteString) => boolean;
}

/** Entries of a layer's tar as what must be unpacked to have overlay's form. Rejects with oci's `unsafe-path`. */
export async function* toOverlayForm(entries: AsyncIterable<TarEntry>, marks: OverlayMarks): AsyncIterable<TarInput> {
  const directories = new Map<ByteString, TarHeader>();
  const opaque: ByteString[] = [];
  for await (const { header, body } of entries) {
    const path = entryPath(header.name);
    const whiteout = whiteoutOf(path);
    if (whiteout?.kind === "opaque") opaque.push(whiteout.path);
    else if (whiteout !== undefined) yield { header: tarHeader({ name: whiteout.path, type: "character", mode: 0 }) };
    // Other names of this kind are the book-keeping of aufs.
    else if (marks.possible(header) && !baseName(path).startsWith(markerPrefix)) {
      const clean = { ...header, name: path === "" ? "." : path, xattrs: kept(header, marks.settable) };
      if (header.type === "directory") directories.set(path, clean);
      yield { header: clean, body };
    }
  }
  // Last, since an opaque mark may come before its directory, or without one.
  for (const path of opaque) {
    const directory = directories.get(path) ?? tarHeader({ name: path === "" ? "." : path, type: "directory" });
    yield { header: { ...directory, xattrs: new Map([...directory.xattrs, [marks.opaque, yes]]) } };
  }
}

const yes = Buffer.from("y");

/** Entries of a directory in overlay's form, as GNU tar gives them, as a layer's tar: names without `./`, no marks of overlay. */
export async function* toLayerForm(entries: AsyncIterable<TarEntry>): AsyncIterable<TarInput> {
  // Overlay makes one device and links the other whiteouts to it.
  const whiteouts = new Set<ByteString>();
  for await (const { header, body } of entries) {
    const path = entryPath(header.name);
    const linkname = header.type === "hardlink" ? entryPath(header.linkname) : header.linkname;
    if (isWhiteout(header) || (header.type === "hardlink" && whiteouts.has(linkname))) {
      whiteouts.add(path);
      yield { header: whiteoutHeader({ kind: "hide", path }) };
    } else if (!baseName(path).startsWith(markerPrefix)) {
      // A file really called `.wh.x` cannot be in a layer: it would delete x.
      yield { header: { ...header, name: path === "" ? "." : path, linkname, xattrs: kept(header, () => true) }, body };
      if (isOpaque(header)) yield { header: whiteoutHeader({ kind: "opaque", path }) };
    }
  }
}

function isWhiteout(header: TarHeader): boolean {
  return header.type === "character" && header.major === 0 && header.minor === 0;
}

function isOpaque(header: TarHeader): boolean {
  const value = header.xattrs.get("trusted.overlay.opaque") ?? header.xattrs.get("user.overlay.opaque");
  return header.type === "directory" && value !== undefined && Buffer.from(value).toString("latin1") === "y";
}

const overlayAttribute = /^(?:trusted|user)\.overlay\./;

function kept(header: TarHeader, settable: (xattr: ByteString) => boolean): TarHeader["xattrs"] {
  const names = [...header.xattrs.keys()];
  if (names.every((name) => !overlayAttribute.test(name) && settable(name))) return header.xattrs;
  return new Map([...header.xattrs].filter(([name]) => !overlayAttribute.test(name) && settable(name)));
}
