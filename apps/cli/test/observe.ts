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

function ofProcesses(file: string): readonly string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/${file}`, "utf8")];
      } catch {
        return []; // Gone meanwhile, or somebody else's.
      }
    });
}
