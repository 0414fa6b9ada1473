import { createHash } from "node:crypto";
import {
  type ByteString,
  type Bytes,
  decompress,
  entryPath,
  isOciError,
  readTar,
  type TarHeader,
  textOf,
} from "@melange2/oci";
import { damagedPackage } from "./package-errors.ts";
import { dataBytes, type PackageFile, refuseOtherData } from "./package-file.ts";

/** A file, folder, link or device of a package. */
export interface PackageEntry {
  /** Relative to the root, without a slash at either end. */
  readonly path: ByteString;
  /** `name` and, of hard links, `linkname` are relative to the root, too. */
  readonly header: TarHeader;
  /** SHA-1 that the package records for a file's content or a link's target, lowercase hex. */
  readonly checksum: string | undefined;
  /** Read it before the next entry is asked for. Rejects at its end where the content does not have its checksum. */
  readonly body: Bytes;
}

/** More than any package has; a million empty files are no package. */
const mostEntries = 500_000;
/** Bytes; no usual file system takes longer ones. */
const longestName = 255;
/** Bytes that a package's files may have beyond twice what the package says. */
const slack = 64 << 20;

/**
 * The files of a package, in its order. Everything is verified: names lead nowhere else, contents have their checksums, the whole has its hash; the
 * last is known only at the end, so that what is made of the entries counts when the generator has ended without an error. Rejects with `package`.
 */
export async function* packageEntries(
  file: PackageFile,
  signal: AbortSignal,
): AsyncGenerator<PackageEntry, void, undefined> {
  const { what } = file.source;
  const hash = createHash("sha256");
  const bound = { entries: 0, bytes: 2 * file.info.installedSize + slack };
  async function* hashed(bytes: Bytes): Bytes {
    for await (const chunk of bytes) {
      signal.throwIfAborted();
      hash.update(chunk);
      yield chunk;
    }
  }
  async function* bounded(bytes: Bytes): Bytes {
    let size = 0;
    for await (const chunk of bytes) {
      size += chunk.length;
      if (size > bound.bytes + bound.entries * 4096)
        throw damagedPackage(what, `it unpacks to more than ${file.info.installedSize} bytes, which it says it has`);
      yield chunk;
    }
  }
  if (file.dataStart >= file.size) return;
  try {
    for await (const { header, body, records } of readTar(bounded(decompress(hashed(dataBytes(file)))), {
      end: "optional",
    })) {
      bound.entries += 1;
      if (bound.entries > mostEntries) throw damagedPackage(what, `it has more than ${mostEntries} files`);
      const path = entryPath(header.name);
      // Control data, should a packer have put it here, and the root itself.
      if (path === "" || /^\.[^/]*$/.test(path)) continue;
      // In an image's layer, such a name takes away what is below it.
      if (/(?:^|\/)\.wh\./.test(path))
        throw damagedPackage(what, `it has a file ${textOf(path)}, whose name means a removal in an image`);
      if (path.split("/").some((name) => name.length > longestName))
        throw damagedPackage(what, `it has a name of more than ${longestName} bytes: ${textOf(path).slice(0, 80)}…`);
      const linkname = header.type === "hardlink" ? entryPath(header.linkname) : header.linkname;
      const checksum = checksumOf(records?.get("APK-TOOLS.checksum.SHA1"), path, what);
      yield { path, header: { ...header, name: path, linkname }, checksum, body: checked(body, path, checksum, what) };
    }
  } catch (error) {
    throw isOciError(error) ? damagedPackage(what, error.message, error) : error;
  }
  refuseOtherData(file, hash.digest("hex"));
}

/** Hex, or `Q1` and base64. */
function checksumOf(record: Uint8Array | undefined, path: ByteString, what: string): string | undefined {
  if (record === undefined) return undefined;
  const text = Buffer.from(record).toString("latin1");
  const bytes = text.startsWith("Q1") ? Buffer.from(text.slice(2), "base64") : Buffer.from(text, "hex");
  if (bytes.length !== 20) throw damagedPackage(what, `the checksum of ${textOf(path)} is no SHA-1`);
  return bytes.toString("hex");
}

async function* checked(body: Bytes, path: ByteString, checksum: string | undefined, what: string): Bytes {
  const hash = createHash("sha1");
  let any = false;
  for await (const chunk of body) {
    any = true;
    hash.update(chunk);
    yield chunk;
  }
  // Of a link, the checksum is that of its target's text.
  if (!any || checksum === undefined) return;
  const found = hash.digest("hex");
  if (found !== checksum)
    throw damagedPackage(what, `the content of ${textOf(path)} has the SHA-1 ${found}, and it says ${checksum}`);
}
