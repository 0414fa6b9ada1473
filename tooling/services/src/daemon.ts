import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { lastLines } from "@melange2-tooling/machine";

export interface Daemon {
  /** What the daemon has written so far, standard output and error. */
  log(): Promise<string>;
  /** Ends the daemon and everything it started; returns when nothing of it is left running. */
  stop(): Promise<void>;
}

export interface DaemonOptions {
  name: string;
  argv: readonly string[];
  /** The daemon's own folder; its log goes there. */
  folder: string;
  env?: Record<string, string>;
  /** As root, in mount and process namespaces of its own: its mounts and whatever it starts end with it. `argv` must exec the daemon in the end. */
  namespaces?: boolean;
  /** Asked again and again until it gives true. */
  ready: (daemon: Daemon) => Promise<boolean>;
}

const namespaces = "unshare --mount --propagation private --pid --fork --kill-child --".split(" ");
const startLimit = 60_000;
const stopLimit = 15_000;

/**
 * Starts a daemon and waits until it is ready; one that ends before, or is not ready in time, is an error with the end of its log.
 * The kernel kills the daemon when this process ends, however it ends. To be called on the main thread: the kernel watches the thread.
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  await mkdir(options.folder, { recursive: true });
  const logFile = join(options.folder, "log");
  const output = openSync(logFile, "a");
  const argv = ["--pdeathsig", "KILL", ...(options.namespaces ? namespaces : []), ...options.argv];
  // Its own session, so that Ctrl-C at the terminal reaches the tests only and the daemon is stopped in good order.
  const child = spawn("setpriv", argv, {
    stdio: ["ignore", output, output],
    detached: true,
    env: { ...process.env, ...options.env },
  });
  closeSync(output);
  let ended: string | undefined;
  child.once("error", (error) => {
    ended = error.message;
  });
  child.once("exit", (code, signal) => {
    ended = `ended with ${code ?? signal}`;
  });
  const daemon: Daemon = {
    log: () => readFile(logFile, "utf8"),
    stop: () => stop(child, options.namespaces === true),
  };
  const deadline = Date.now() + startLimit;
  while (!(await options.ready(daemon))) {
    const failure = ended ?? (Date.now() > deadline ? `was not ready after ${startLimit / 1000} s` : undefined);
    if (failure !== undefined) {
      await daemon.stop();
      throw new Error(`${options.name} ${failure}:\n${lastLines(await daemon.log(), 8)}`);
    }
    await pause(50);
  }
  return daemon;
}

async function stop(child: ChildProcess, inNamespaces: boolean): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  // unshare(1) passes no signal on: the daemon is its one child. The namespace, and so unshare, ends only when all in it have ended.
  const daemon = inNamespaces ? await onlyChild(child.pid) : child.pid;
  if (daemon !== undefined) process.kill(daemon, "SIGTERM");
  const patience = setTimeout(() => child.kill("SIGKILL"), stopLimit);
  await exited;
  clearTimeout(patience);
}

async function onlyChild(pid: number): Promise<number | undefined> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const [first] = children.trim().split(" ");
  return first ? Number(first) : undefined;
}
