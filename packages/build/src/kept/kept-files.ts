import { lstat, stat } from "node:fs/promises";
import { basename, dirname, join, posix, resolve } from "node:path";
import type { Writable } from "node:stream";
import { MelangeError, type Snapshot, type Tell } from "@melange2/core";
import { readTar, textOf } from "@melange2/oci";
import { tellLeftOut } from "../environment/left-out.ts";
import { writeChunk } from "../export/write-chunk.ts";
import { refuseSpecial, type SpecialFile, writeHostTree } from "../output/host-tree.ts";
import { moveAll } from "../output/move-tree.ts";
import { scratchFolder } from "../output/scratch-folder.ts";
import type { KeptBuild } from "./kept-build.ts";

/** Where a path of the user's points to inside the state. */
function inside(kept: KeptBuild, path: string): { directory: string; name: string } {
  const absolute = posix.resolve(kept.step.workdir, path);
  return { directory: posix.dirname(absolute), name: posix.basename(absolute) };
}

const mostLinks = 40;

/** One file's content to `output`; links are followed inside the state. Rejects with `not-found` where it is not there or no file. */
export async function readFileAt(
  kept: KeptBuild,
  at: Snapshot,
  path: string,
  output: Writable,
  signal: AbortSignal,
): Promise<void> {
  let { directory, name } = inside(kept, path);
  for (let links = 0; links <= mostLinks; links += 1) {
    const file = posix.join(directory, name);
    for await (const { header, body } of readTar(kept.session.read(at, file, { signal }))) {
      if (header.type === "file") {
        // Not returned: the loop would close the tar before its content was read.
        await writeAll(body, output, signal);
        return;
      }
      if (header.type !== "symlink") throw noFile(file, header.type);
      const target = posix.resolve(directory, textOf(header.linkname));
      directory = posix.dirname(target);
      name = posix.basename(target);
      break;
    }
  }
  throw noFile(path, "link that leads in a circle");
}

/** Ends early, without an error, where the output does: whoever owns the output is told of that. */
async function writeAll(content: AsyncIterable<Uint8Array>, output: Writable, signal: AbortSignal): Promise<void> {
  for await (const chunk of content) {
    try {
      await writeChunk(output, chunk, signal);
    } catch {
      signal.throwIfAborted();
      return;
    }
  }
}

/** Copies a file or folder out, complete or not at all; gives the path it has now. An existing file is not overwritten. */
export async function copyOut(
  kept: KeptBuild,
  at: Snapshot,
  source: string,
  destination: string,
  { tell, signal }: { readonly tell: Tell; readonly signal: AbortSignal },
): Promise<string> {
  const { directory, name } = inside(kept, source);
  const wanted = resolve(destination);
  const existing = await stat(wanted).catch(() => undefined);
  const target = existing?.isDirectory() ? join(wanted, name) : wanted;
  if (await lstat(target).catch(() => undefined)) {
    throw new MelangeError("usage", `${target} exists already`, {
      hint: "Give another destination, or remove it first.",
    });
  }
  const folder = dirname(target);
  try {
    await using scratch = await scratchFolder(folder, tell);
    const leftOut: SpecialFile[] = [];
    await writeHostTree(
      kept.session.read(at, posix.join(directory, name), { signal }),
      scratch.path,
      signal,
      (special) => {
        if (special.path === name) refuseSpecial(special);
        leftOut.push(special);
      },
    );
    tellLeftOut(leftOut, { what: "left out of the copy", hint: "melange2 debug shell has them.", tell });
    await moveAll([{ from: join(scratch.path, basename(name)), to: target }]);
    if (!(await lstat(target).catch(() => undefined))) throw noSuchFile(source, kept);
  } catch (error) {
    const { code, syscall, message } = error as NodeJS.ErrnoException;
    if (syscall === undefined) throw error;
    throw notWritten(
      folder,
      code === "ENOENT" && !(await stat(folder).catch(() => undefined)) ? "it is not there" : message,
    );
  }
  return target;
}

function notWritten(folder: string, why: string): MelangeError {
  return new MelangeError("usage", `nothing can be written to ${folder}: ${why}`, {
    hint: "Give a destination with room, in a folder of yours.",
  });
}

function noFile(path: string, kind: string): MelangeError {
  return new MelangeError("not-found", `${path} is a ${kind}, not a file`, {
    hint: "Copy it out as a whole: melange2 debug cp",
  });
}

function noSuchFile(path: string, kept: KeptBuild): MelangeError {
  return new MelangeError("not-found", `${path}: not in the state of build ${kept.stored.id}`, {
    hint: `Look around: melange2 debug shell ${kept.stored.id}`,
  });
}
