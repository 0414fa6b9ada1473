import { spawn } from "node:child_process";
import { stat } from "node:fs/promises";

/** How the owners in a directory are read, so that a user's own root filesystem belongs to root in the environment. */
export interface OwnerView {
  /** Goes before the command that reads the directory. */
  readonly prefix: readonly string[];
  /** From the number that the command reports to the number in the layer. */
  owner(id: number): number;
}

/**
 * As root: as it is. Otherwise a tree whose top directory is the user's, or one of the user's subordinate ids', is read inside a user namespace, where
 * the user is root and the subordinate ids are 1 and up: what `mmdebstrap`, `podman unshare` and plain `tar x` leave looks right there. Where no namespace
 * can be made, and in trees of others, numbers stay as they are, but for the user's own, which become 0.
 */
export async function ownerView(directory: string): Promise<OwnerView> {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  if (uid === 0) return { prefix: [], owner: (id) => id };
  const top = await stat(directory);
  const mine = top.uid === uid || top.uid >= 100_000;
  if (mine)
    for (const prefix of [
      ["unshare", "-U", "-r", "--map-auto", "--"],
      ["unshare", "-U", "-r", "--"],
    ])
      if (await works([...prefix, "true"])) return { prefix, owner: (id) => id };
  return { prefix: [], owner: (id) => (id === uid || id === gid ? 0 : id) };
}

function works(argv: readonly string[]): Promise<boolean> {
  const [program = "", ...args] = argv;
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: "ignore" });
    child.on("error", () => resolve(false));
    child.on("close", (code) => resolve(code === 0));
  });
}
