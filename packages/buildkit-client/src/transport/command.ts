import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { Duplex } from "node:stream";
import type { Transport } from "./transport.ts";

export interface CommandOptions {
  /** The address to show in messages instead of the command. */
  readonly label?: string;
  /** The environment of the process; this process's own by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * A daemon behind a process that joins its standard input and output to it: `docker exec -i NAME buildctl dial-stdio`,
 * `ssh HOST buildctl dial-stdio`. One process for one connection; it ends with the connection.
 */
export function commandTransport(argv: readonly string[], options: CommandOptions = {}): Transport {
  const [program] = argv;
  if (program === undefined) throw new TypeError("commandTransport needs a program");
  return {
    address: options.label ?? `command ${argv.join(" ")}`,
    attempt: `the command ${argv.join(" ")}`,
    advice: `Run the command by hand: it must start, say nothing and wait. The daemon must run at its other end.`,
    dial: (signal) => start(program, argv.slice(1), options, signal),
  };
}

/** How long a process may take to leave after its input has ended. */
const graceMilliseconds = 2_000;

function start(
  program: string,
  args: readonly string[],
  options: CommandOptions,
  signal: AbortSignal,
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    // A group of its own: a Ctrl-C in the terminal is for this process, which still needs the connection to clean up.
    const child = spawn(program, args, { stdio: "pipe", detached: true, env: options.env ?? process.env });
    child.once("error", reject);
    child.once("spawn", () => {
      child.off("error", reject);
      resolve(streamOf(child, program));
    });
  });
}

function streamOf(child: ChildProcessWithoutNullStreams, program: string): Duplex {
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaints = `${complaints}${text}`.slice(-2_000);
  });
  const stream = new Duplex({
    read: () => child.stdout.resume(),
    write: (chunk: Uint8Array, _encoding, callback) => void child.stdin.write(chunk, callback),
    final: (callback) => void child.stdin.end(callback),
    destroy(error, callback) {
      child.stdin.destroy();
      child.stdout.destroy();
      child.stderr.destroy();
      stop(child);
      callback(error);
    },
  });
  child.stdout.on("data", (chunk: Buffer) => {
    if (!stream.push(chunk)) child.stdout.pause();
  });
  const ignore = () => {};
  for (const end of [child.stdin, child.stdout, child.stderr]) end.on("error", ignore);
  child.on("error", ignore);
  // "close" comes after the last byte of its output, so what it said before it left is known.
  child.on("close", (code, killedBy) => {
    const end = killedBy === null ? `exited with code ${code}` : `was ended by ${killedBy}`;
    const said = complaints.trim();
    if (code === 0) stream.push(null);
    else stream.destroy(new Error(`${program} ${end}${said === "" ? "" : `: ${said}`}`));
  });
  return stream;
}

function stop(child: ChildProcessWithoutNullStreams): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), graceMilliseconds);
  child.once("exit", () => clearTimeout(timer));
}
