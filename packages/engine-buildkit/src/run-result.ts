import type { Exit } from "@melange2/core";

/** What the wrapper wrote about a run. */
export interface UnitResult {
  /** The execution that wrote it. */
  readonly run: string;
  /** The last step that ran. */
  readonly step: number;
  readonly exit: Exit;
}

/** Signals that can end a process, as 128 + n in a shell's code: HUP to SYS. */
const signalled = (code: number) => code > 128 && code <= 128 + 31;

/** Throws a TypeError for what no wrapper writes. */
export function parseUnitResult(text: string): UnitResult {
  const [, run, step, code, reason] = /^(\S+) (\d+) (\d+) (exit|timeout|stop|oom)\n$/.exec(text) ?? [];
  if (run === undefined) throw new TypeError(`a unit's result reads ${JSON.stringify(text)}`);
  return { run, step: Number(step), exit: exitOf(Number(code), reason as Reason) };
}

type Reason = "exit" | "timeout" | "stop" | "oom";

/** A shell says 128 + n both for a signal and for `exit 128+n`: such codes count as signals. */
export function exitOf(code: number, reason: Reason = "exit"): Exit {
  if (reason === "stop") return { code, reason: "interrupted" };
  if (reason === "exit") return { code, reason: signalled(code) ? "signal" : "exit" };
  return { code, reason };
}
