import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type EngineSession, MelangeError, type Plan, type Snapshot } from "@melange2/core";
import { ignoreEndedReader } from "../output-errors.ts";

export interface Output {
  readonly package: string;
  readonly directory: string;
}

/**
 * Brings `melange-out/NAME` of every package into `OUT/ARCH/NAME`. A folder of an earlier build is replaced as a whole, when the new
 * one is complete. Packages whose folder the build never made are left out.
 */
export async function takeOutput(
  session: EngineSession,
  state: Snapshot,
  plan: Plan,
  directory: string,
  signal: AbortSignal,
): Promise<readonly Output[]> {
  const target = join(directory, plan.subject.arch);
  const unwritten = (why: string) =>
    new MelangeError("engine", `the build's files could not be written to ${target}: ${why}`, {
      hint: "Check that there is room and that the folder may be written, or give another --out-dir.",
    });
  try {
    await mkdir(target, { recursive: true });
    const incoming = await mkdtemp(join(target, ".melange2-"));
    try {
      const tar = session.read(state, `${plan.workspace}/melange-out`, { signal });
      await extract(tar, incoming, { unwritten, signal });
      return await moveInto(target, incoming, plan);
    } finally {
      await rm(incoming, { recursive: true, force: true });
    }
  } catch (error) {
    throw isFileError(error) ? unwritten(error.message) : error;
  }
}

async function moveInto(target: string, incoming: string, plan: Plan): Promise<readonly Output[]> {
  const outputs: Output[] = [];
  for (const { name } of plan.outputs) {
    const final = join(target, name);
    const old = join(incoming, `.old-${name}`);
    const fresh = join(incoming, "melange-out", name);
    if (!(await stat(fresh).catch(() => undefined))) continue;
    await moved(final, old);
    await rename(fresh, final);
    outputs.push({ package: name, directory: final });
  }
  return outputs;
}

function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}

async function moved(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}

export interface ExtractOptions {
  /** The error to reject with, of what the system's tar complains about. */
  readonly unwritten: (why: string) => MelangeError;
  readonly signal: AbortSignal;
}

/** Unpacks a tar with the system's tar: owners and xattrs are kept as far as the user may set them. */
export async function extract(
  tar: AsyncIterable<Uint8Array>,
  into: string,
  { unwritten, signal }: ExtractOptions,
): Promise<void> {
  const args = ["-x", "-p", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", into, "-f", "-"];
  const child = spawn("tar", args, { stdio: ["pipe", "ignore", "pipe"], signal });
  let complaints = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaints = (complaints + chunk.toString()).slice(-2000);
  });
  // tar ends with the end mark, which is before the end of the padding.
  const sent = pipeline(tar, child.stdin).catch(ignoreEndedReader);
  const closed = (once(child, "close") as Promise<[number | null]>).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    complaints = "GNU tar is not on PATH";
    return [null];
  });
  const [[code]] = await Promise.all([closed, sent]);
  if (code === 0) return;
  throw unwritten(complaints.trim().split("\n").at(-1) ?? "");
}
