import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { MelangeError } from "@melange2/core";
import {
  type Bytes,
  decompress,
  detectCompression,
  entryPath,
  isOciError,
  readFileBytes,
  readTar,
  textOf,
} from "@melange2/oci";
import { childOutput } from "./child-output.ts";

/** The forms in which a base may come, told apart by content. */
export type BaseForm = "directory" | "rootfs-tar" | "oci-layout" | "image-archive";

export const acceptedForms =
  "a directory with a root filesystem, a tar of one (plain, gzip, xz or zstd), an OCI layout directory, an OCI archive or a docker archive";

/** What a path holds. Rejects with `environment`, naming what was found, when it is no base. */
export async function formOf(path: string): Promise<BaseForm> {
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    const why = cause.code === "ENOENT" ? "does not exist" : `cannot be read (${cause.code})`;
    throw new MelangeError("environment", `the base ${path} ${why}`, { hint: `Give ${acceptedForms}.`, cause });
  });
  if (found.isDirectory()) {
    const marked = await stat(join(path, "oci-layout")).catch(() => undefined);
    return marked?.isFile() ? "oci-layout" : "directory";
  }
  if (!found.isFile()) throw notABase(path, "no regular file");
  const head = await firstBytes(path);
  const known = knownForm(head);
  if (known) throw notABase(path, known);
  return archiveForm(path);
}

export async function isCompressed(path: string): Promise<boolean> {
  return detectCompression(await firstBytes(path)) !== "none";
}

/** A base's tar, decompressed. */
export async function* plainTar(path: string): Bytes {
  const found = detectCompression(await firstBytes(path));
  if (found === "xz")
    yield* childOutput({
      argv: ["xz", "-dc", "--", path],
      what: `unpacking ${path}`,
      missing: "Install xz-utils, or compress the base with gzip or zstd.",
    });
  else yield* decompress(readFileBytes(path));
}

export function notABase(path: string, found: string, cause?: unknown): MelangeError {
  return new MelangeError("environment", `the base ${path} is ${found}`, { hint: `Give ${acceptedForms}.`, cause });
}

/** An image's archive begins with one of its own files, a root filesystem with one of its directories. */
async function archiveForm(path: string): Promise<BaseForm> {
  try {
    for await (const { header } of readTar(plainTar(path))) {
      const name = entryPath(header.name);
      if (name === "") continue;
      if (packageMark.test(name))
        throw notABase(path, `a package, not a root filesystem: it begins with ${textOf(name)}`);
      return imageFile.test(name) ? "image-archive" : "rootfs-tar";
    }
  } catch (error) {
    if (isOciError(error) && error.code === "corrupt") throw notABase(path, "no tar archive", error);
    throw error;
  }
  throw notABase(path, "an empty tar archive");
}

const imageFile = /^(?:blobs|oci-layout|index\.json|manifest\.json|repositories|[0-9a-f]{64}(?:\.json|\.tar)?)(?:\/|$)/;
const packageMark = /^(?:\.PKGINFO|\.SIGN\.|APKINDEX|\.MTREE|DESCRIPTION$)/;

async function firstBytes(path: string): Promise<Uint8Array> {
  const handle = await open(path);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(512), 0, 512, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** What people mistake for a base, by the first bytes. undefined: perhaps a tar. */
function knownForm(head: Uint8Array): string | undefined {
  if (head.length === 0) return "an empty file";
  const text = Buffer.from(head).toString("latin1");
  if (detectCompression(head) === "bzip2") return "compressed with bzip2";
  const magic = wrongForms.find(([start]) => text.startsWith(start));
  if (magic) return magic[1];
  const plain = head.length < 512 || !text.includes("ustar");
  if (plain && /^[\t\n\r\x20-\x7e]*$/.test(text)) return "a text file";
  return undefined;
}

const wrongForms: readonly (readonly [string, string])[] = [
  ["\x7fELF", "a program or library (ELF)"],
  ["PK\x03\x04", "a zip archive"],
  ["hsqs", "a squashfs image"],
  ["QFI\xfb", "a qcow2 disk image"],
  ["!<arch>\n", "an ar archive (perhaps a Debian package)"],
  ["\xed\xab\xee\xdb", "an RPM package"],
  ["07070", "a cpio archive"],
  ["7z\xbc\xaf\x27\x1c", "a 7z archive"],
];
