import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { BuildEvent } from "@melange2/core";
import type { Base } from "./base.ts";
import { melange2Command, melange2Env, type Workshop, writeRecipe } from "./failing-build.ts";
import { type Phase, phases, type Seen } from "./phases.ts";

export interface Breakdown {
  readonly phases: readonly Phase[];
  /** The most memory that the process itself had, in bytes; its children's is their own. */
  readonly memory: number;
}

/** One more failing build, watched: where its time goes and how much memory it takes. */
export async function breakdown(workshop: Workshop, base: Base, nonce: string): Promise<Breakdown> {
  const [program = "", ...rest] = melange2Command(workshop, base, await writeRecipe(workshop, nonce));
  const started = performance.now();
  const child = spawn(program, [...rest, "--progress", "rawjson"], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...melange2Env(workshop) },
  });
  let memory = 0;
  const watch = setInterval(() => {
    memory = Math.max(memory, peakMemory(child.pid));
  }, 10);
  const seen: Seen[] = [];
  for await (const line of createInterface({ input: child.stderr }))
    if (line.startsWith("{")) seen.push({ at: performance.now() - started, event: JSON.parse(line) as BuildEvent });
  if (child.exitCode === null) await once(child, "exit");
  clearInterval(watch);
  return { phases: phases(seen, performance.now() - started), memory };
}

/** 0 once the process is gone. */
function peakMemory(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
