import { constants, type Stats } from "node:fs";
import { lstat, open, readdir, readFile, realpath } from "node:fs/promises";
import { join } from "node:path";
import { MelangeError } from "@melange2/core";
import { type ByteString, type Bytes, textOf } from "@melange2/oci";
import ignore, { type Ignore } from "ignore";
import { isExportedArchive, isExportedLayout } from "./exported-image.ts";

/** A regular file of the source directory. */
export interface SourceFile {
  /** Relative, as bytes. */
  readonly path: ByteString;
  /** Permission bits. */
  readonly mode: number;
  readonly size: number;
  open(): Bytes;
}

/** What lies in a source directory, is named nowhere, and is no source all the same. */
export interface LeftOut {
  /** Relative. */
  readonly path: string;
  readonly kind: "link" | "FIFO" | "socket" | "device" | "exported image";
}

export interface SourceFiles {
  readonly files: readonly SourceFile[];
  readonly leftOut: readonly LeftOut[];
}

/**
 * The regular files of a directory in byte order, as melange copies them: symlinks and special files are left out, and so are empty directories
 * and what `.melangeignore` (gitignore patterns, read at the top) names; the file itself comes along. Names of one file, hard links, become files of
 * their own. Also left out: what builds produce (`melange-out` at the top), what melange2 has not finished (`.melange2-*`, anywhere), debug images
 * (archives and OCI layouts) whatever their names, and `except`: files and directories that lie inside by accident. Rejects with `environment` when
 * something cannot be read, with the signal's reason when aborted.
 */
export async function sourceFiles(
  directory: string,
  except: readonly string[],
  signal: AbortSignal,
): Promise<SourceFiles> {
  const ignored = await readIgnoreFile(directory);
  const skipped = new Set(await Promise.all(except.map((path) => realpath(path).catch(() => path))));
  const root = Buffer.from(await realpath(directory).catch((cause) => Promise.reject(unreadable(directory, cause))));
  const files: SourceFile[] = [];
  const leftOut: LeftOut[] = [];

  const visit = async (at: Buffer, path: ByteString): Promise<void> => {
    signal.throwIfAborted();
    const names = await readdir(at, { encoding: "buffer" });
    if (path !== "" && names.some((name) => name.equals(layoutMarker)) && (await isExportedLayout(at.toString()))) {
      leftOut.push({ path: textOf(path), kind: "exported image" });
      return;
    }
    for (const name of names.sort(Buffer.compare)) {
      const child = Buffer.concat([at, slash, name]);
      if (name.subarray(0, unfinished.length).equals(unfinished) || skipped.has(child.toString())) continue;
      const childPath = path ? `${path}/${name.toString("latin1")}` : name.toString("latin1");
      const stats = await lstat(child);
      const text = textOf(childPath);
      if (stats.isDirectory()) {
        if (childPath === "melange-out" || isIgnored(ignored, `${text}/`)) continue;
        await visit(child, childPath);
      } else if (isIgnored(ignored, text)) continue;
      else if (!stats.isFile()) leftOut.push({ path: text, kind: kindOf(stats) });
      else if (await isExportedArchive(child.toString(), stats.size))
        leftOut.push({ path: text, kind: "exported image" });
      else files.push({ path: childPath, mode: stats.mode & 0o777, size: stats.size, open: () => fileBytes(child) });
    }
  };

  try {
    await visit(root, "");
  } catch (cause) {
    const { errno, path } = cause as NodeJS.ErrnoException;
    // Not of the system: the signal's reason.
    if (errno === undefined) throw cause;
    throw unreadable(path ?? directory, cause);
  }
  return { files, leftOut };
}

function kindOf(stats: Stats): LeftOut["kind"] {
  if (stats.isSymbolicLink()) return "link";
  if (stats.isFIFO()) return "FIFO";
  return stats.isSocket() ? "socket" : "device";
}

const slash = Buffer.from("/");
const unfinished = Buffer.from(".melange2-");
const layoutMarker = Buffer.from("oci-layout");

async function readIgnoreFile(directory: string): Promise<Ignore | undefined> {
  const text = await readFile(join(directory, ".melangeignore"), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw unreadable(join(directory, ".melangeignore"), error);
  });
  return text === undefined ? undefined : ignore().add(text);
}

function isIgnored(ignored: Ignore | undefined, path: string): boolean {
  return ignored !== undefined && path !== ".melangeignore" && ignored.ignores(path);
}

/** Not through a symlink that took the file's place meanwhile. */
async function* fileBytes(path: Buffer): Bytes {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((cause) => {
    throw unreadable(path.toString(), cause);
  });
  try {
    for (;;) {
      const buffer = Buffer.allocUnsafeSlow(256 << 10);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

function unreadable(path: string, cause: unknown): MelangeError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new MelangeError("environment", `the source directory cannot be read: ${path}: ${code ?? message}`, {
    hint: "Make it readable, name it in .melangeignore, or choose another --source-dir.",
    cause,
  });
}
