import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cannotStart, interrupted, toolFailed } from "./foreign-errors.ts";
import type { Host } from "./host.ts";

/** Locks held by a process of their own whose stdin we hold: released even when Node is killed. */
export interface HeldLocks extends AsyncDisposable {
  /** False: somebody else has one of them, and `wait` was false. */
  readonly acquired: boolean;
}

export interface LockRequest {
  readonly file: string;
  readonly kind: "shared" | "exclusive";
}

/** flock's answer to -n when the lock is taken. */
const taken = 99;

/** Takes the locks in order. Whoever takes several takes them in the same order everywhere. */
export async function takeLocks(
  host: Host,
  requests: readonly LockRequest[],
  options: { readonly wait: boolean; readonly signal: AbortSignal },
): Promise<HeldLocks> {
  const flock = host.tool("flock");
  const words = requests.flatMap(({ file, kind }) => [
    flock,
    "-F",
    kind === "shared" ? "-s" : "-x",
    ...(options.wait ? [] : ["-n", "-E", String(taken)]),
    file,
  ]);
  const [program = "", ...rest] = [...words, "/bin/sh", "-c", "echo; exec cat >/dev/null"];
  const child = spawn(program, rest, { env: host.helperEnv, stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.on("error", () => {});
  const stop = () => child.kill("SIGKILL");
  options.signal.addEventListener("abort", stop, { once: true });
  try {
    const outcome = await Promise.race([once(child.stdout, "data").then(() => "held" as const), closed(child)]);
    if (options.signal.aborted) throw interrupted();
    if (outcome === "held") return { acquired: true, [Symbol.asyncDispose]: () => release(child) };
    if (outcome.code !== taken) throw toolFailed("locking the state directory", outcome.code ?? "?", outcome.stderr);
    return { acquired: false, [Symbol.asyncDispose]: async () => {} };
  } finally {
    options.signal.removeEventListener("abort", stop);
  }
}

async function closed(child: ChildProcess): Promise<{ code: number | null; stderr: string }> {
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  try {
    const [code] = (await once(child, "close")) as [number | null];
    return { code, stderr };
  } catch (cause) {
    throw cannotStart("flock", cause as NodeJS.ErrnoException);
  }
}

async function release(child: ChildProcess): Promise<void> {
  const gone = child.exitCode === null && child.signalCode === null ? once(child, "close") : undefined;
  child.stdin?.end();
  await gone;
}
