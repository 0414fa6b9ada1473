import { readdirSync, readFileSync } from "node:fs";

/** Whether a process with this in its command line runs on this machine. */
export function isRunning(word: string): boolean {
  return readdirSync("/proc").some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(word);
    } catch {
      return false;
    }
  });
}
