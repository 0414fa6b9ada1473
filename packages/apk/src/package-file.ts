import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { type Bytes, bytesOf, collect, readTar } from "@melange2/oci";
import { isApkError } from "./error.ts";
import { type GzipMember, memberAt } from "./gzip-members.ts";
import { damagedPackage } from "./package-errors.ts";
import { type PackageInfo, parsePackageInfo } from "./package-info.ts";

// A package file is up to three gzip members: signatures, control data, files. Trust runs from the signed index to the SHA-1 of the control member, and
// from the control data to the SHA-256 of the files' member. The package's own signature is never looked at, as in apko.

/** A file that is to hold a package. */
export interface PackageSource {
  /** Where it lies on this machine. */
  readonly path: string;
  /** How to call it in errors: `NAME-VERSION` and where it is from. */
  readonly what: string;
  /** SHA-1 of the control member, lowercase hex, from the index; empty: the file is taken as it is. */
  readonly checksum: string;
  /** Bytes of the file, for telling how far an installation is. */
  readonly size?: number;
}

/** A package file whose control data is read and verified. */
export interface PackageFile {
  readonly source: PackageSource;
  readonly info: PackageInfo;
  /** SHA-1 of the control member, lowercase hex. */
  readonly checksum: string;
  /** Bytes of the whole file. */
  readonly size: number;
  /** Where the files' member begins; `size`, where there is none. */
  readonly dataStart: number;
  readonly scripts: readonly PackageScript[];
}

/** An install script or trigger, which nobody here runs. */
export interface PackageScript {
  /** `post-install`, `trigger`, … */
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly content: Uint8Array;
}

const largestControl = 10 << 20;

/** Reads the control data of a package file. Rejects with `package` where it is damaged, or where its checksum is not that of the index. */
export async function openPackageFile(source: PackageSource): Promise<PackageFile> {
  const handle = await open(source.path);
  try {
    const { size } = await handle.stat();
    const { control, content } = await controlMember(handle, size, source.what);
    const checksum = createHash("sha1").update(control.bytes).digest("hex");
    if (source.checksum !== "" && checksum !== source.checksum)
      throw damagedPackage(
        source.what,
        `its control data has the SHA-1 ${checksum}, and the index says ${source.checksum}`,
      );
    const { infoText, scripts } = await readControl(content, source.what);
    const info = parsePackageInfo(infoText, source.what);
    if (info.dataHash === "" && control.end < size) throw damagedPackage(source.what, "it says no hash of its files");
    return { source, info, checksum, size, dataStart: control.end, scripts };
  } finally {
    await handle.close();
  }
}

/** Reads the files' member once and compares its SHA-256. Rejects with `package`, or the signal's reason. */
export async function verifyPackageData(file: PackageFile, signal: AbortSignal): Promise<void> {
  const hash = createHash("sha256");
  for await (const chunk of dataBytes(file)) {
    signal.throwIfAborted();
    hash.update(chunk);
  }
  refuseOtherData(file, hash.digest("hex"));
}

/** The files' member as it is stored. */
export function dataBytes({ source, size, dataStart }: PackageFile): Bytes {
  if (dataStart >= size) return bytesOf();
  return createReadStream(source.path, { start: dataStart, highWaterMark: 256 << 10 });
}

/** Throws `package` unless the hash is the one that the control data says. */
export function refuseOtherData({ source, info, size, dataStart }: PackageFile, hash: string): void {
  if (dataStart < size && hash !== info.dataHash)
    throw damagedPackage(source.what, `its files have the SHA-256 ${hash}, and it says ${info.dataHash}`);
}

interface Control {
  readonly control: { readonly bytes: Uint8Array; readonly end: number };
  readonly content: Uint8Array;
}

/** The control member lies at the beginning, behind the signature where there is one. Reads no more of the file than that takes, about. */
async function controlMember(handle: FileHandle, size: number, what: string): Promise<Control> {
  const most = 2 * largestControl;
  for (let length = 64 << 10; ; length *= 16) {
    const wanted = Math.min(length, size, most);
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.allocUnsafe(wanted), position: 0 });
    const head = buffer.subarray(0, bytesRead);
    try {
      return controlWithin(head, what);
    } catch (error) {
      // A member that does not end within what was read looks like a damaged one.
      const isWhole = wanted === size || wanted === most || (isApkError(error) && error.code === "limit");
      if (isWhole) throw asPackageError(error, what);
    }
  }
}

function controlWithin(head: Uint8Array, what: string): Control {
  const options = { limit: largestControl, what };
  const first = memberAt(head, 0, options.limit, options);
  const member: GzipMember = isSignature(first) ? memberAt(head, first.end, options.limit, options) : first;
  return { control: { bytes: head.subarray(member.start, member.end), end: member.end }, content: member.content };
}

function isSignature({ content }: GzipMember): boolean {
  return content.toString("latin1", 0, 6) === ".SIGN.";
}

async function readControl(
  content: Uint8Array,
  what: string,
): Promise<{ readonly infoText: string; readonly scripts: readonly PackageScript[] }> {
  let infoText: string | undefined;
  const scripts: PackageScript[] = [];
  try {
    for await (const { header, body } of readTar(bytesOf(content), { end: "optional" })) {
      const [, name] = /^\.([a-z-]+)$/.exec(header.name) ?? [];
      if (header.name === ".PKGINFO")
        infoText = Buffer.from(await collect(body, largestControl, what)).toString("utf8");
      // As apko takes them: what everybody may execute.
      else if (name !== undefined && header.type === "file" && (header.mode & 0o555) === 0o555)
        scripts.push({
          name,
          mode: header.mode,
          uid: header.uid,
          gid: header.gid,
          content: await collect(body, largestControl, what),
        });
    }
  } catch (error) {
    throw asPackageError(error, what);
  }
  if (infoText === undefined) throw damagedPackage(what, "it holds no .PKGINFO");
  return { infoText, scripts };
}

function asPackageError(error: unknown, what: string): unknown {
  if (isApkError(error) && error.code === "limit") return error;
  return damagedPackage(what, error instanceof Error ? error.message : String(error), error);
}
