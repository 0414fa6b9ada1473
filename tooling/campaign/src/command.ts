import { spawn } from "node:child_process";
import { join } from "node:path";
import { repositoryRoot } from "@melange2-tooling/machine";

const program = join(repositoryRoot, "apps/cli/bin/run.js");

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  /** Milliseconds from the signal that was sent to the end; from the start where none was sent. */
  readonly took: number;
}

export interface Call {
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Sent after so many milliseconds. */
  readonly interrupt?: { readonly signal: NodeJS.Signals; readonly after: number };
  /** Milliseconds after which the call is ended with SIGKILL, and counts as hanging. */
  readonly patience: number;
}

/** Runs melange2 as users have it, with a state folder below the working directory; resolves with `hang` where it does not end in time. */
export async function melange2(args: readonly string[], call: Call): Promise<Ended | "hang"> {
  const env = { ...process.env, MELANGE2_STATE_DIR: join(call.cwd, "state"), CI: "", NODE_ENV: undefined, ...call.env };
  const child = spawn(process.execPath, [program, ...args], { cwd: call.cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (piece: Buffer) => {
      output = (output + piece).slice(-100_000);
    });
  let from = Date.now();
  let hung = false;
  const { interrupt } = call;
  const interrupting =
    interrupt &&
    setTimeout(() => {
      from = Date.now();
      child.kill(interrupt.signal);
    }, interrupt.after);
  const limit = setTimeout(
    () => {
      hung = true;
      child.kill("SIGKILL");
    },
    call.patience + (interrupt?.after ?? 0),
  );
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (...how) => resolve(how));
  });
  clearTimeout(interrupting);
  clearTimeout(limit);
  return hung ? "hang" : { code, signal, output, took: Date.now() - from };
}

/** Exit codes that the product promises: built, step failed, usage, engine, export, interrupted. */
const promised = new Set([0, 1, 2, 3, 4, 130, 143, 129]);

/** What is wrong with how a call ended by itself, if anything. */
export function faultOf({ code, signal, output }: Ended): "crash" | "internal error" | undefined {
  if (code === null || signal !== null || code === 134 || code === 139) return "crash";
  if (!promised.has(code) || /^ {4}at .*:\d+:\d+\)?$/m.test(output) || /internal error|this is a bug/i.test(output))
    return "internal error";
  return undefined;
}

/** Runs work on each number below `count`, two at a time: calls wait for the kernel as much as they compute. */
export async function each(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all([worker(), worker()]);
}
