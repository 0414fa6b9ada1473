import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

/** Waits for a fact. Rejects, naming it, when it does not come about. */
export async function until(fact: () => boolean, what: () => string): Promise<void> {
  for (const deadline = Date.now() + 60_000; !fact(); await wait(10))
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what()}`);
}

/** Processes of this machine that have this text among their arguments. */
export const processesWith = (text: string): readonly string[] =>
  ofProcesses("cmdline").filter((line) => line.includes(text));

/** Mounts that this text appears in, in whatever mount namespace. */
export const mountsWith = (text: string): readonly string[] =>
  ofProcesses("mountinfo").flatMap((table) => table.split("\n").filter((line) => line.includes(text)));

/** The ids of these processes. */
export const pidsOf = (text: string): readonly number[] =>
  processIds().filter((pid) => ofProcess(pid, "cmdline").includes(text));

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
