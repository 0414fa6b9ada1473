import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { BuildkitError } from "../error.ts";
import type { Link, Transport } from "./transport.ts";

export interface CommandOptions {
  /** The address to show in messages instead of the command. */
  readonly label?: string;
  /** The environment of the process; this process's own by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * A daemon behind a process that joins its standard input and output to it: `docker exec -i NAME buildctl dial-stdio`,
 * `ssh HOST buildctl dial-stdio`. One process for one connection; it ends with the connection. Not on Windows.
 */
export function commandTransport(argv: readonly string[], options: CommandOptions = {}): Transport {
  if (argv.length === 0) {
    throw new BuildkitError("address", "commandTransport: the command is empty", { hint: "Name a program to run." });
  }
  return {
    address: options.label ?? `command ${argv.join(" ")}`,
    attempt: `the command ${argv.join(" ")}`,
    advice: "Run the command by hand: it must start, say nothing and wait. The daemon must run at its other end.",
    dial: (signal) => start(argv, options, signal),
  };
}

/** How long a process may take to leave after its input has ended. */
const graceMs = 2_000;

/** How long to wait for the last words of a process whose output has ended. */
const lastWordsMs = 1_000;

/** Joins both standard streams to one socket, which spawn by itself cannot. The program and its arguments stay data. */
const join = ["-c", 'exec "$@" <&3 >&3 3>&-', "sh"] as const;

function start(argv: readonly string[], options: CommandOptions, signal: AbortSignal): Promise<Link> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const child = spawn("/bin/sh", [...join, ...argv], {
      stdio: ["ignore", "ignore", "pipe", "pipe"],
      // A group of its own: a Ctrl-C in the terminal is for this process, which still needs the connection to clean up.
      detached: true,
      env: options.env ?? process.env,
    });
    // For its whole life: a process that cannot be signalled says so in the same way.
    child.on("error", reject);
    child.once("spawn", () => resolve(linkTo(child, argv[0] as string)));
  });
}

function linkTo(child: ChildProcess, program: string): Link {
  let complaints = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    complaints = `${complaints}${text}`.slice(-2_000);
  });
  const left = new Promise<string>((resolve) => {
    child.once("close", (code, killedBy) => {
      const end = killedBy === null ? `exited with code ${code}` : `was ended by ${killedBy}`;
      const said = complaints.trim();
      resolve(`${program} ${end}${said === "" ? "" : `: ${said}`}`);
    });
  });
  const socket = child.stdio[3] as Socket;
  socket.once("close", () => stop(child));
  return {
    socket,
    whyEnded: () => {
      const silence = new Promise<undefined>((resolve) => {
        setTimeout(resolve, lastWordsMs, undefined).unref();
      });
      return Promise.race([left, silence]);
    },
  };
}

/** Its input has ended, which is what it should leave for. */
function stop(child: ChildProcess): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const hurry = setTimeout(() => child.kill("SIGTERM"), graceMs / 2);
  const insist = setTimeout(() => child.kill("SIGKILL"), graceMs);
  child.once("exit", () => {
    clearTimeout(hurry);
    clearTimeout(insist);
    // What it may have left behind with its standard error open is not waited for.
    setTimeout(() => child.stderr?.destroy(), lastWordsMs).unref();
  });
}
