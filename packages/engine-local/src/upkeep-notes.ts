import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StateDirectory } from "./state-directory.ts";

/**
 * What a state directory knows of its own need for pruning, so that most sessions end without a look at every layer:
 *
 *     growth  bytes, a number a line: what a prune left of the cache, and what each session added since
 *     litter  there while some layers may be of no use to anybody; layers of dropped states, an id a line
 */
const file = (state: StateDirectory, name: "growth" | "litter") => join(state.root, name);

/** `dropped`: layers that a kept state stood on; they may be cache from now on. */
export function noteLitter(state: StateDirectory, dropped: readonly string[] = []): void {
  appendFileSync(file(state, "litter"), dropped.map((id) => `${id}\n`).join(""), { mode: 0o600 });
}

/** undefined: none was noted. */
export function litterOf(state: StateDirectory): readonly string[] | undefined {
  return readNote(state, "litter")?.split("\n").filter(Boolean);
}

export function noteGrowth(state: StateDirectory, bytes: number): void {
  appendFileSync(file(state, "growth"), `${bytes}\n`, { mode: 0o600 });
}

/** At least what the cache holds: what kept states stand on is counted too, until a prune has looked. */
export function growthOf(state: StateDirectory): number {
  const lines = readNote(state, "growth")?.split("\n") ?? [];
  return lines.reduce((sum, line) => sum + (Number(line) || 0), 0);
}

/** After a prune. `cacheBytes`: what it left of the cache, at most. */
export function notePruned(state: StateDirectory, cacheBytes: number): void {
  rmSync(file(state, "litter"), { force: true });
  writeFileSync(file(state, "growth"), `${cacheBytes}\n`, { mode: 0o600 });
}

function readNote(state: StateDirectory, name: Parameters<typeof file>[1]): string | undefined {
  return existsSync(file(state, name)) ? readFileSync(file(state, name), "utf8") : undefined;
}
