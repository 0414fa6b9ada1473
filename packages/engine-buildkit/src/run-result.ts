import type { FileInfo } from "@melange2/buildkit-client";
import type { Exit } from "@melange2/core";

/** What the wrapper left in the status mount about a run. */
export interface UnitResult {
  /** The execution that wrote it. */
  readonly run: string;
  /** The last step that ran. */
  readonly step: number;
  readonly exit: Exit;
  /** Bytes of the files that hold all output. */
  readonly output: Readonly<Record<"stdout" | "stderr", number>>;
}

/** Signals that can end a process, as 128 + n in a shell's code: HUP to SYS. */
const signalled = (code: number) => code > 128 && code <= 128 + 31;

/** From the files of the status mount. Throws a TypeError for what no wrapper leaves. */
export function parseUnitResult(files: readonly Pick<FileInfo, "name" | "size">[]): UnitResult {
  const result = /^result\.([^.]+)\.(\d+)\.(\d+)\.(exit|timeout|stop|oom)$/;
  const [, run, step, code, reason] = files.map(({ name }) => result.exec(name)).find((match) => match !== null) ?? [];
  if (run === undefined) throw new TypeError(`a unit left ${JSON.stringify(files.map(({ name }) => name))}`);
  const bytes = (stream: string) => files.find(({ name }) => name === stream)?.size ?? 0;
  const output = { stdout: bytes("stdout"), stderr: bytes("stderr") };
  return { run, step: Number(step), exit: exitOf(Number(code), reason as Reason), output };
}

type Reason = "exit" | "timeout" | "stop" | "oom";

/** A shell says 128 + n both for a signal and for `exit 128+n`: such codes count as signals. */
export function exitOf(code: number, reason: Reason = "exit"): Exit {
  if (reason === "stop") return { code, reason: "interrupted" };
  if (reason === "exit") return { code, reason: signalled(code) ? "signal" : "exit" };
  return { code, reason };
}
