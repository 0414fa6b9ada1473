import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { MelangeError } from "@melange2/core";
import { entryPath, isOciError, parentPath, readTar, type TarEntry, type TarHeader, textOf } from "@melange2/oci";

/** Permission bits that files of the host get: set-id and sticky bits stay in the state, and so do owners and extended attributes. */
const plainBits = 0o777;

/**
 * Writes what a state's tar holds below `folder`, which is empty and ours. Nothing in the tar is trusted: each name is made anew, in a folder that
 * was made here before, so that no link is ever followed; links are written as links. Files belong to who runs this. The host gets no device nodes
 * and FIFOs: `onSpecial` is told of each, and leaves it out where it returns. Rejects with `recipe` where the tar holds something else that the host
 * does not get (a name that leads out, a name below a link), by its name, and with the system's errors.
 */
export async function writeHostTree(
  tar: AsyncIterable<Uint8Array>,
  folder: string,
  signal: AbortSignal,
  onSpecial: (special: SpecialFile) => void = refuseSpecial,
): Promise<void> {
  const tree = hostTree(folder, onSpecial);
  try {
    for await (const entry of readTar(tar)) {
      signal.throwIfAborted();
      await tree.write(entry);
    }
    tree.finish();
  } catch (error) {
    if (!isOciError(error)) throw error;
    throw new MelangeError("recipe", `the build's files cannot be written to the host: ${error.message}`, {
      hint: error.hint,
    });
  }
}

/** What the host does not get. */
export interface SpecialFile {
  /** In the tar. */
  readonly path: string;
  readonly kind: "character device" | "block device" | "FIFO";
}

/** Throws, with `recipe`. */
export function refuseSpecial({ path, kind }: SpecialFile): never {
  throw refused(path, `is a ${kind}, which is not made on the host`);
}

function hostTree(folder: string, onSpecial: (special: SpecialFile) => void) {
  const made = new Map<string, "folder" | "file" | "link" | SpecialFile["kind"]>([["", "folder"]]);
  const folders: TarHeader[] = [];
  const at = (path: string) => Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(path, "latin1")]);

  function makeFolder(path: string): void {
    const kind = made.get(path);
    if (kind === "folder") return;
    if (kind !== undefined) throw refused(textOf(path), `is a ${kind}, and something lies below it`);
    makeFolder(parentPath(path));
    mkdirSync(at(path), { mode: 0o700 });
    made.set(path, "folder");
  }

  async function writeFile(path: string, { mode, mtime, size }: TarHeader, body: TarEntry["body"]): Promise<void> {
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    const file = openSync(at(path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      let position = 0;
      for await (const piece of body) {
        if (size < likelySparse || !isZero(piece)) writeAt(file, piece, position);
        position += piece.length;
      }
      ftruncateSync(file, size);
      futimesSync(file, seconds(mtime), seconds(mtime));
      fchmodSync(file, mode & plainBits);
    } finally {
      closeSync(file);
    }
    made.set(path, "file");
  }

  function writeLink(path: string, { linkname, mtime }: TarHeader): void {
    symlinkSync(Buffer.from(linkname, "latin1"), at(path));
    lutimesSync(at(path), seconds(mtime), seconds(mtime));
    made.set(path, "link");
  }

  function writeHardLink(path: string, { linkname }: TarHeader): void {
    const first = entryPath(linkname);
    const kind = made.get(first);
    if (kind === "file" || kind === "link") {
      linkSync(at(first), at(path));
      made.set(path, kind);
    } else if (kind === undefined || kind === "folder")
      throw refused(textOf(path), `is a hard link to ${textOf(first)}, which is no file here`);
    else writeSpecial(path, kind);
  }

  function writeSpecial(path: string, kind: SpecialFile["kind"]): void {
    onSpecial({ path: textOf(path), kind });
    made.set(path, kind);
  }

  return {
    async write({ header, body }: TarEntry): Promise<void> {
      const path = entryPath(header.name);
      if (header.type === "directory") {
        makeFolder(path);
        if (path !== "") folders.push({ ...header, name: path });
        return;
      }
      makeFolder(parentPath(path));
      if (made.has(path)) throw refused(textOf(path), "stands there twice");
      if (header.type === "file") await writeFile(path, header, body);
      else if (header.type === "symlink") writeLink(path, header);
      else if (header.type === "hardlink") writeHardLink(path, header);
      else writeSpecial(path, specialKinds[header.type]);
    },
    /** Rights and times of folders, the deepest first: what is written into a folder needs its rights and changes its time. */
    finish(): void {
      for (const { name, mode, mtime } of [...folders].reverse()) {
        utimesSync(at(name), seconds(mtime), seconds(mtime));
        chmodSync(at(name), mode & plainBits);
      }
    },
  };
}

const specialKinds = { character: "character device", block: "block device", fifo: "FIFO" } as const;

/** `path`: as text. */
function refused(path: string, why: string): MelangeError {
  return new MelangeError("recipe", `${path} ${why}`, {
    hint: "The host gets regular files, folders and links only: leave it out.",
  });
}

function writeAt(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done, position + done);
}

/** Bytes from which on a file may be one with holes, larger than the disk: zeros are then left out, and read as zeros all the same. */
const likelySparse = 64 * 1024 * 1024;

const zeros = Buffer.alloc(64 * 1024);

function isZero(bytes: Uint8Array): boolean {
  for (let start = 0; start < bytes.length; start += zeros.length) {
    const piece = bytes.subarray(start, start + zeros.length);
    if (zeros.compare(piece, 0, piece.length, 0, piece.length) !== 0) return false;
  }
  return true;
}

const seconds = (nanoseconds: bigint): number => Number(nanoseconds / 1000n) / 1e6;
