import { readdirSync, readFileSync } from "node:fs";

/** Command lines of processes of this machine, but for this one, that have this text among their arguments, which NUL ends. */
export const processesWith = (text: string): readonly string[] =>
  ofProcesses("cmdline").filter((line) => line.includes(text));

/** Whether there is such a process. */
export const isRunning = (text: string): boolean => processesWith(text).length > 0;

/** The ids of these processes. */
export const pidsOf = (text: string): readonly number[] =>
  processIds().filter((pid) => ofProcess(pid, "cmdline").includes(text));

/** Mounts that this text appears in, in whatever mount namespace. */
export const mountsWith = (text: string): readonly string[] =>
  ofProcesses("mountinfo").flatMap((table) => table.split("\n").filter((line) => line.includes(text)));

const ofProcesses = (file: string): readonly string[] => processIds().map((pid) => ofProcess(pid, file));

function processIds(): readonly number[] {
  const ids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return ids.map(Number).filter((pid) => pid !== process.pid);
}

/** Empty where the process is gone meanwhile, or somebody else's. */
function ofProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
