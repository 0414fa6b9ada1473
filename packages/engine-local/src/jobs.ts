import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { cannotStart, interrupted, throwIfAborted, toolFailed } from "./foreign-errors.ts";
import { type Host, readText } from "./host.ts";
import { diesWithParent, inNamespaces } from "./namespace.ts";

/** A helper program at work on the engine's own files. */
export interface Job {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Resolves on exit code 0; rejects with `engine`, or `interrupted` when the signal ended it. */
  readonly finished: Promise<void>;
  /** Ends it now, with everything it started. */
  kill(): void;
}

export interface JobOptions {
  /** For error messages: "unpacking a layer". */
  readonly doing: string;
  readonly signal: AbortSignal;
  /** Whether it mounts anything: it then gets namespaces of its own. */
  readonly mounts?: boolean;
  /** What an exit code means, where it does not simply mean that the job failed. */
  readonly failure?: ((code: number) => Error | undefined) | undefined;
  /** Gets what it said on standard error, where it succeeded. */
  readonly onWarnings?: (text: string) => void;
}

/** Longest part of a helper's stderr that is kept. */
const keptStderr = 64 * 1024;

/** Starts a program as the root that the sandboxes have, in namespaces of its own where it needs any. */
export function startJob(host: Host, argv: readonly string[], options: JobOptions): Job {
  throwIfAborted(options.signal);
  const apart = options.mounts === true || host.mapping !== "root";
  const launcher = apart ? inNamespaces(host, { network: "host", full: false }) : diesWithParent(host);
  const [program = "", ...rest] = [...launcher, ...argv];
  const child = spawn(program, rest, { env: host.helperEnv, stdio: ["pipe", "pipe", "pipe"] });
  const kill = () => void (apart ? killNamespace(child) : child.kill("SIGKILL"));
  options.signal.addEventListener("abort", kill, { once: true });
  // A helper that ends early breaks its stdin; its exit code and stderr say why.
  child.stdin.on("error", () => {});
  const finished = ended(child, options).finally(() => options.signal.removeEventListener("abort", kill));
  finished.catch(() => {});
  return { stdin: child.stdin, stdout: child.stdout, finished, kill };
}

/** Runs such a program to its end; resolves with its stdout. */
export async function runJob(host: Host, argv: readonly string[], options: JobOptions): Promise<string> {
  const job = startJob(host, argv, options);
  job.stdin.end();
  const chunks: Buffer[] = [];
  job.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  await job.finished;
  return Buffer.concat(chunks).toString();
}

async function ended(child: ChildProcess, options: JobOptions): Promise<void> {
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-keptStderr);
  });
  let code: number | null;
  let by: string | null;
  try {
    [code, by] = await once(child, "close");
  } catch (cause) {
    throw cannotStart(child.spawnfile, cause as NodeJS.ErrnoException);
  }
  if (options.signal.aborted) throw interrupted();
  if (code !== 0) throw options.failure?.(code ?? 0) ?? toolFailed(options.doing, code ?? by ?? "?", stderr);
  options.onWarnings?.(stderr);
}

/** Process ids; those that `pid` started and that still run. */
function childrenOf(pid: number): readonly number[] {
  return readText(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
}

/** Ends process 1 of a namespace that `unshare` (the child) started; the kernel ends the rest, unshare then reports. */
export function killNamespace(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const first = childrenOf(child.pid);
  // One at a time may end by itself between the look and the kill.
  for (const pid of first) kill(pid);
  if (first.length === 0) child.kill("SIGKILL");
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
