import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { type ByteSink, MelangeError, printable } from "@melange2/core";

export interface CommandOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ends the command, and everything it started, when it aborts. */
  readonly signal: AbortSignal;
}

/** A command that is being fed. Disposing it ends what is left of it, before it can see the end of its input. */
export interface RunningCommand extends AsyncDisposable {
  /** Its standard input. `write` rejects with code `export` when the command does not read on. */
  readonly sink: ByteSink;
  /** Ends its input and waits for it. Its last line of output, if any; rejects with code `export` unless it succeeds. */
  finish(): Promise<string | undefined>;
}

type End = { readonly code: number | null; readonly signal: NodeJS.Signals | null } | { readonly error: Error };

/** How long a command that was told to end may clean up, in milliseconds. */
const cleanUpTime = 5_000;
/** How long the output of a command that has ended may take to arrive; whatever it left running may hold it open for ever. */
const outputTime = 1_000;

/** Starts `sh -c TEXT` as a process group of its own. Throws code `interrupted` if it must not start any more. */
export function startCommand(text: string, { cwd, env, signal }: CommandOptions): RunningCommand {
  if (signal.aborted) throw interrupted();
  const child = spawn("/bin/sh", ["-c", text], {
    cwd,
    env: { ...env },
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const ended = new Promise<End>((resolve) => {
    child.once("error", (error) => resolve({ error }));
    child.once("exit", (code, killed) => resolve({ code, signal: killed }));
  });
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  child.stdin.on("error", () => {}); // told by the write that fails
  const stdout = tailOf(child.stdout);
  const stderr = tailOf(child.stderr);

  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= endGroup(child, closed).then(() => void child.stdin.destroy());
    return stopping;
  };
  const onAbort = () => void stop();
  signal.addEventListener("abort", onAbort, { once: true });

  const failure = async (otherwise: string): Promise<MelangeError> => {
    const end = await ended;
    await Promise.race([closed, pause(outputTime, undefined, { ref: false })]);
    const said = stderr().length > 0 ? stderr() : stdout();
    return new MelangeError("export", describeEnd(end) ?? otherwise, {
      hint: "Try it by hand with the same archive: melange2 debug export --export-path=- | COMMAND",
      problems: said.map((message) => ({ message })),
    });
  };

  return {
    sink: {
      async write(chunk) {
        const error = await new Promise((resolve) => child.stdin.write(chunk, resolve));
        if (error) throw await failure("the command ended before it had read the whole archive");
      },
      // Only finish ends the input: the engine closes the sink before it is known that all went well.
      close: async () => {},
    },
    async finish() {
      child.stdin.end();
      const end = await ended;
      if (signal.aborted) throw interrupted();
      if (describeEnd(end) !== undefined) throw await failure("");
      await Promise.race([closed, pause(outputTime, undefined, { ref: false })]);
      return stdout().at(-1);
    },
    async [Symbol.asyncDispose]() {
      signal.removeEventListener("abort", onAbort);
      const running = child.exitCode === null && child.signalCode === null && child.pid !== undefined;
      if (running || stopping) await stop();
      child.stdin.destroy();
      child.stdout.destroy();
      child.stderr.destroy();
    },
  };
}

/** Asks everything in the group to end, and ends it. Its input stays open until then. */
async function endGroup(child: ChildProcess, closed: Promise<void>): Promise<void> {
  killGroup(child, "SIGTERM");
  await Promise.race([closed, pause(cleanUpTime, undefined, { ref: false })]);
  killGroup(child, "SIGKILL");
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** undefined: it succeeded. */
function describeEnd(end: End): string | undefined {
  if ("error" in end) return `the command cannot be started: ${end.error.message}`;
  if (end.signal !== null) return `the command was ended by ${end.signal}`;
  return end.code === 0 ? undefined : `the command failed with exit status ${end.code}`;
}

function interrupted(): MelangeError {
  return new MelangeError("interrupted", "interrupted while the command took the image", {
    hint: "melange2 debug export delivers it later.",
  });
}

const kept = 4096;
const shown = 8;

/** The last lines of a stream so far, fit for a terminal. */
function tailOf(stream: NodeJS.ReadableStream): () => readonly string[] {
  let tail: Buffer = Buffer.alloc(0);
  stream.on("data", (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]);
    tail = tail.subarray(Math.max(0, tail.length - kept));
  });
  return () => {
    const lines = tail
      .toString()
      .split(/\r?\n|\r/)
      .map(printable);
    return lines.filter((line) => line.trim() !== "").slice(-shown);
  };
}
