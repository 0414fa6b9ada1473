import type { Exit } from "@melange2/core";
import { readText } from "./host.ts";

/** Signals that can end a process, as 128 + n in a shell's code: HUP to SYS. */
const signalled = (code: number) => code > 128 && code <= 128 + 31;

/**
 * How a step ended, from its shell's code. A shell says 128 + n both for a signal and for `exit 128+n`: such codes count as
 * signals. 137 (SIGKILL) counts as out of memory when the kernel has counted one more victim since the step began; on a busy
 * machine that victim may have been another process.
 */
export function exitOf(code: number, outOfMemory: { readonly before: number; readonly after: number }): Exit {
  if (code === 137 && outOfMemory.after > outOfMemory.before) return { code, reason: "oom" };
  return { code, reason: signalled(code) ? "signal" : "exit" };
}

export const timedOut: Exit = { code: 124, reason: "timeout" };
export const wasInterrupted: Exit = { code: 130, reason: "interrupted" };

/** How many processes the kernel has killed for want of memory since it started, in all control groups. */
export function outOfMemoryKills(): number {
  return Number(/^oom_kill (\d+)$/m.exec(readText("/proc/vmstat"))?.[1] ?? 0);
}
