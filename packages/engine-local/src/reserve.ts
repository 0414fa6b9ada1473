import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isMelangeError } from "@melange2/core";
import { isDiskFull } from "./foreign-errors.ts";
import type { StateDirectory } from "./state-directory.ts";

/** Room for a session's folders, locks and notes. */
const reservedBytes = 256 * 1024;

const file = (state: StateDirectory) => join(state.root, "reserve");

/**
 * Keeps some room of the disk in a file, so that a session can be opened on a full disk: only a session can drop what fills the disk. Where there
 * is no room for it now, the next session tries again.
 */
export function keepReserve(state: StateDirectory): void {
  if (existsSync(file(state))) return;
  try {
    writeFileSync(file(state), Buffer.alloc(reservedBytes, 1), { mode: 0o600 });
  } catch {
    rmSync(file(state), { force: true });
  }
}

/** Does the work, on a full disk once more with the room that was kept. */
export async function withReserve<T>(state: StateDirectory, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isOutOfRoom(error) || !existsSync(file(state))) throw error;
    rmSync(file(state), { force: true });
    return work();
  }
}

function isOutOfRoom(error: unknown): boolean {
  return isDiskFull(error) || (isMelangeError(error) && /No space left|Disk quota exceeded/i.test(error.message));
}
