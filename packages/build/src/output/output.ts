import { lstatSync } from "node:fs";
import { chmod, mkdir } from "node:fs/promises";
import { join, posix } from "node:path";
import { type EngineSession, isMelangeError, MelangeError, type Plan, type Snapshot, type Tell } from "@melange2/core";
import { writeHostTree } from "./host-tree.ts";
import { moveAll } from "./move-tree.ts";
import { scratchFolder } from "./scratch-folder.ts";

export interface Output {
  readonly package: string;
  readonly directory: string;
}

/**
 * Brings `melange-out/NAME` of every package into `OUT/ARCH/NAME`, an empty folder where the build made none. A folder of an earlier build is
 * replaced as a whole, when the new one is complete. What a step left is never followed: a `melange-out` or a package's folder that is no real
 * folder is refused by name, with code `recipe`. `state`: what the last step left; undefined: no step ran.
 */
export async function takeOutput(
  session: EngineSession,
  state: Snapshot | undefined,
  plan: Plan,
  directory: string,
  { tell, signal }: { readonly tell: Tell; readonly signal: AbortSignal },
): Promise<readonly Output[]> {
  const target = join(directory, plan.subject.arch);
  try {
    await mkdir(target, { recursive: true });
    await using scratch = await scratchFolder(target, tell);
    if (state !== undefined) await fetchOutput(session, state, plan, scratch.path, signal);
    return await moveInto(target, scratch.path, plan);
  } catch (error) {
    throw isFileError(error) ? unwritten(target, error) : error;
  }
}

async function fetchOutput(
  session: EngineSession,
  state: Snapshot,
  plan: Plan,
  into: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await writeHostTree(session.read(state, posix.join(plan.workspace, "melange-out"), { signal }), into, signal);
  } catch (error) {
    // A build whose steps removed it made nothing.
    if (!isMelangeError(error) || error.code !== "not-found") throw error;
  }
}

/** Every package's folder is looked at before any moves, and all of them move or none. */
async function moveInto(target: string, incoming: string, plan: Plan): Promise<readonly Output[]> {
  const made = join(incoming, "melange-out");
  refuseStranger(made, "melange-out");
  await mkdir(made, { recursive: true });
  // It does not leave this folder, and what is in it must be reached.
  await chmod(made, 0o700);
  const names = plan.outputs.map(({ name }) => name);
  for (const name of names) refuseStranger(join(made, name), `melange-out/${name}`);
  for (const name of names) await mkdir(join(made, name), { recursive: true });
  await moveAll(
    names.flatMap((name) => [
      { from: join(target, name), to: join(incoming, `old-${name}`) },
      { from: join(made, name), to: join(target, name) },
    ]),
  );
  return names.map((name) => ({ package: name, directory: join(target, name) }));
}

/** Throws where what was written here, as a step left it, is there and no folder: it may be a link to a place on the host. */
function refuseStranger(path: string, name: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined || found.isDirectory()) return;
  throw new MelangeError("recipe", `${name} is a ${found.isSymbolicLink() ? "link" : "file"}, not a folder`, {
    hint: "Have the steps write into the folder that is there. Nothing was written to the output folder.",
  });
}

function unwritten(target: string, error: NodeJS.ErrnoException): MelangeError {
  const why = error.code === "ENOSPC" ? "No space left on device" : error.message;
  return new MelangeError("engine", `the build's files could not be written to ${target}: ${why}`, {
    hint:
      error.code === "ENAMETOOLONG"
        ? "Give an --out-dir with a shorter path, or shorter names in the package."
        : "Check that there is room and that the folder may be written, or give another --out-dir.",
    cause: error,
  });
}

function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}
