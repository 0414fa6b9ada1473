import { randomBytes } from "node:crypto";
import { link, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { ByteSink } from "@melange2/core";
import { asExportError, hasCode } from "./export-error.ts";
import { fileWriter } from "./file-writer.ts";

/** A file on its way: under a random name beside the final one until it is published. Disposing it removes what was not. */
export interface ArchiveFile extends AsyncDisposable {
  readonly sink: ByteSink;
  /**
   * Makes the bytes durable and gives them their final name, complete or not at all. A file that has the name already is kept:
   * its new path is returned.
   */
  publish(): Promise<string | undefined>;
}

const temporaryName = /^\.melange2-[0-9a-f]{16}\.part$/;
/** An export writes all the time; one that has not for this long was killed. */
const staleAfter = 24 * 60 * 60 * 1000;

/** Starts a file that is to become `path`, readable by its owner only. Rejects with code `export`, as its methods do. */
export async function archiveFile(path: string): Promise<ArchiveFile> {
  const folder = dirname(path);
  await removeStale(folder);
  const temporary = join(folder, `.melange2-${randomBytes(8).toString("hex")}.part`);
  const handle = await open(temporary, "wx", 0o600).catch((error) => {
    throw asExportError(error, path);
  });
  const writer = fileWriter(handle);
  const translated = (work: Promise<void>) =>
    work.catch((error) => {
      throw asExportError(error, path);
    });

  return {
    sink: {
      write: (chunk) => translated(writer.write(chunk)),
      appendFile: (file, see) => translated(writer.appendFile(file, see)),
      // The engine hands over the last byte; publish closes the file.
      close: async () => {},
    },
    async publish() {
      try {
        await writer.sync();
        await writer.close();
        const older = await nameFinally(temporary, path);
        await syncFolder(folder);
        return older;
      } catch (error) {
        throw asExportError(error, path);
      }
    },
    async [Symbol.asyncDispose]() {
      await writer.close();
      await rm(temporary, { force: true });
    },
  };
}

/**
 * Gives the file its name by a link, which never replaces anything: a file that another export put there in the same moment
 * is moved aside like any older one.
 */
async function nameFinally(temporary: string, path: string): Promise<string | undefined> {
  let older: string | undefined;
  for (;;) {
    try {
      await link(temporary, path);
      break;
    } catch (error) {
      if (hasCode(error, "EEXIST")) {
        older = (await moveAside(path)) ?? older;
        continue;
      }
      if (!hasCode(error, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK")) throw error;
      // A filesystem without hard links.
      older = (await moveAside(path)) ?? older;
      await rename(temporary, path);
      break;
    }
  }
  return older;
}

/** Moves what is at `path` to the next free numbered name: `debug.tar` to `debug.1.tar`. undefined: nothing was there any more. */
async function moveAside(path: string): Promise<string | undefined> {
  const free = await reserveNumbered(path);
  try {
    await rename(path, free);
    return free;
  } catch (error) {
    await rm(free);
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function reserveNumbered(path: string): Promise<string> {
  const [stem, extension] = splitExtension(path);
  for (let number = 1; ; number += 1) {
    const candidate = `${stem}.${number}${extension}`;
    try {
      await (await open(candidate, "wx", 0o600)).close();
      return candidate;
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    }
  }
}

function splitExtension(path: string): readonly [string, string] {
  const name = basename(path);
  const extension = /.(\.tar(?:\.[a-z0-9]+)?|\.tgz)$/.exec(name)?.[1] ?? "";
  return [path.slice(0, path.length - extension.length), extension];
}

async function removeStale(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((candidate) => temporaryName.test(candidate))) {
    const path = join(folder, name);
    const { mtimeMs } = (await stat(path).catch(() => undefined)) ?? { mtimeMs: Date.now() };
    if (Date.now() - mtimeMs > staleAfter) await rm(path, { force: true }).catch(() => {});
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
