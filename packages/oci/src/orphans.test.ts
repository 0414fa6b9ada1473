import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ownedName, removeOrphans } from "./orphans.ts";

test("removes what a killed process left, and nothing of processes that live or of other machines", async () => {
  const folder = await mkdtemp(join(tmpdir(), "melange2-orphans-"));
  const child = spawn("sleep", ["60"]);
  try {
    const mine = ownedName("spool");
    const other = mine.replace(`-${process.pid}-`, `-${child.pid}-`);
    const foreign = other.replace(/^spool-[0-9a-f]{8}/, "spool-00000000");
    for (const name of [mine, other, `${other}.tmp`, foreign, "spool-notes"]) await writeFile(join(folder, name), "x");
    await removeOrphans(folder, "spool");
    expect(await readdir(folder)).toHaveLength(5);
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    await removeOrphans(folder, "spool");
    expect((await readdir(folder)).sort()).toEqual([foreign, mine, "spool-notes"].sort());
  } finally {
    child.kill("SIGKILL");
    await rm(folder, { recursive: true });
  }
});
