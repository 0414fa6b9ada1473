import { mkdir, mkdtemp, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder, removeTree } from "@melange2-tooling/machine";

/**
 * A folder for the services and the data of this process, which removes it in the end. Its name says whose it is: process id and the time that process started, in clock ticks since boot.
 * Folders of processes that are gone are removed; their services died with them.
 */
export async function createRunFolder(): Promise<string> {
  const runs = join(cacheFolder(), "run");
  await mkdir(runs, { recursive: true });
  for (const name of await readdir(runs)) {
    const [pid, started] = name.split("-");
    if (pid === undefined || (await startOf(pid)) !== started) await removeTree(join(runs, name));
  }
  return mkdtemp(join(runs, `${process.pid}-${await startOf(`${process.pid}`)}-`));
}

/** When a running process was started; undefined when there is none of that id. */
async function startOf(pid: string): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // The second field, the program's name, may itself hold blanks and brackets.
  return stat
    ?.slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .at(19);
}
