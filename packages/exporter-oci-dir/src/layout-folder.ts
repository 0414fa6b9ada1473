import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { asExportError, hasCode } from "./export-error.ts";

/** A folder on its way: under a random name beside the final one until it is published. Disposing it removes what was not. */
export interface LayoutFolder extends AsyncDisposable {
  /** Where to write. */
  readonly path: string;
  /** Gives it its final name. A folder that has the name already is kept: its new path is returned, unless it was empty. */
  publish(): Promise<string | undefined>;
}

const temporaryName = /^\.melange2-[0-9a-f]{16}\.part$/;
/** An export makes new files all the time; one that has not for this long was killed. */
const staleAfter = 24 * 60 * 60 * 1000;

/** Starts a folder that is to become `path`, for its owner only. Rejects with code `export`, as its methods do. */
export async function layoutFolder(path: string): Promise<LayoutFolder> {
  const above = dirname(path);
  await removeStale(above);
  const temporary = join(above, `.melange2-${randomBytes(8).toString("hex")}.part`);
  await mkdir(temporary, { mode: 0o700 }).catch((error) => {
    throw asExportError(error, path);
  });
  return {
    path: temporary,
    async publish() {
      try {
        const older = await nameFinally(temporary, path);
        await syncFolder(above);
        return older;
      } catch (error) {
        throw asExportError(error, path);
      }
    },
    [Symbol.asyncDispose]: () => rm(temporary, { recursive: true, force: true }),
  };
}

/** A rename replaces an empty folder and nothing else: a layout that another export put there in the same moment is moved aside too. */
async function nameFinally(temporary: string, path: string): Promise<string | undefined> {
  for (let older: string | undefined; ; ) {
    try {
      await rename(temporary, path);
      return older;
    } catch (error) {
      if (!hasCode(error, "ENOTEMPTY", "EEXIST")) throw error;
      older = (await moveAside(path)) ?? older;
    }
  }
}

/** Moves what is at `path` to the next free numbered name: `debug` to `debug.1`. undefined: nothing was there any more. */
async function moveAside(path: string): Promise<string | undefined> {
  const free = await reserveNumbered(path);
  try {
    await rename(path, free);
    return free;
  } catch (error) {
    await rmdir(free);
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function reserveNumbered(path: string): Promise<string> {
  for (let number = 1; ; number += 1) {
    const candidate = `${path}.${number}`;
    try {
      await mkdir(candidate, { mode: 0o700 });
      return candidate;
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    }
  }
}

async function removeStale(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((candidate) => temporaryName.test(candidate))) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (!found?.isDirectory() || Date.now() - found.mtimeMs < staleAfter) continue;
    await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
