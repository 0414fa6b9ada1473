import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Runs `work` while this process alone, of all that name the same lock file, holds the lock.
 * The kernel releases it when this process dies, however it dies: flock(1) holds it for as long as its standard input is open.
 */
export async function locked<T>(file: string, work: () => Promise<T>): Promise<T> {
  const holder = spawn("flock", [file, "sh", "-c", "echo held; exec cat"], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(holder, "close");
  await Promise.race([
    once(holder.stdout, "data"),
    ended.then(([code]) => {
      throw new Error(`flock ${file} ended with ${code} before it held the lock`);
    }),
  ]);
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
