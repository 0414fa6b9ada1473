import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, posix, resolve } from "node:path";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { MelangeError, type Snapshot } from "@melange2/core";
import { extract } from "../build/output.ts";
import type { KeptBuild } from "./kept-build.ts";

/** Where a path of the user's points to inside the state. */
function inside(kept: KeptBuild, path: string): { directory: string; name: string } {
  const absolute = posix.resolve(kept.step.workdir, path);
  return { directory: posix.dirname(absolute), name: posix.basename(absolute) };
}

/** One file's content to `output`. Rejects with `not-found` where it is not there or no file. */
export async function readFileAt(
  kept: KeptBuild,
  at: Snapshot,
  path: string,
  output: Writable,
  signal: AbortSignal,
): Promise<void> {
  const { directory, name } = inside(kept, path);
  const tar = kept.session.read(at, posix.join(directory, name), { signal });
  const child = spawn("tar", ["-x", "-O", "-f", "-"], { stdio: ["pipe", "pipe", "pipe"], signal });
  const closed = once(child, "close");
  const copied = pipeline(child.stdout, output, { end: false });
  await pipeline(tar, child.stdin).catch(ignoreClosed);
  await copied;
  const [code] = (await closed) as [number | null];
  if (code !== 0) throw noSuchFile(path, kept);
}

/** Copies a file or folder out, complete or not at all; gives the path it has now. An existing file is not overwritten. */
export async function copyOut(
  kept: KeptBuild,
  at: Snapshot,
  source: string,
  destination: string,
  signal: AbortSignal,
): Promise<string> {
  const { directory, name } = inside(kept, source);
  const wanted = resolve(destination);
  const existing = await stat(wanted).catch(() => undefined);
  const target = existing?.isDirectory() ? join(wanted, name) : wanted;
  if (await stat(target).catch(() => undefined)) {
    throw new MelangeError("usage", `${target} exists already`, {
      hint: "Give another destination, or remove it first.",
    });
  }
  const scratch = await mkdtemp(join(dirname(target), ".melange2-"));
  try {
    await extract(kept.session.read(at, posix.join(directory, name), { signal }), scratch, signal);
    await rename(join(scratch, basename(name)), target).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") throw noSuchFile(source, kept);
      throw error;
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return target;
}

function ignoreClosed(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
}

function noSuchFile(path: string, kept: KeptBuild): MelangeError {
  return new MelangeError("not-found", `${path}: not in the state of build ${kept.stored.id}`, {
    hint: `Look around: melange2 debug shell ${kept.stored.id}`,
  });
}
