import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { parseReport, type Report } from "./boot-script.ts";
import { cannotStart, interrupted, toolFailed } from "./foreign-errors.ts";
import type { Host } from "./host.ts";
import { inheritedDescriptors } from "./inherited-descriptors.ts";
import { killNamespace } from "./jobs.ts";
import { diesWithParent, inNamespaces } from "./namespace.ts";
import { shellWords } from "./shell-quote.ts";
import { secretLines } from "./step-command.ts";

export interface SandboxLaunch {
  /** The file with the text of process 1. */
  readonly script: string;
  readonly network: "host" | "none";
  /** By name; process 1 reads them on descriptor 4, so that they are in no argv, and in no environment of a program of the host's. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly terminal: Terminal;
  readonly onReport: (report: Report) => void;
}

/**
 * What process 1 has as standard streams. `none`: no input, and no output but for what the engine reads. `streams`: Node's own, in a session without
 * a terminal, so that nothing inside can type into the user's. `own`: a terminal of the sandbox's own, whose keys and screen are those of Node's.
 */
export type Terminal = "none" | "streams" | "own";

export interface Sandbox {
  /** Ends process 1 and so everything in the sandbox. */
  kill(): void;
  /**
   * Resolves when every process of the sandbox is gone. Rejects with `engine` when it never came to the first step.
   */
  readonly finished: Promise<void>;
}

const reportFd = 3;
const secretsFd = 4;
const messagesFd = 5;

/** What programs of the host say on the way to process 1 goes to descriptor 5, and the standard error that is the user's waits on 6. */
const messagesApart = `exec 6>&2 2>&${messagesFd} ${messagesFd}>&-`;

/** The line of process 1 from which on standard error is the user's, in a sandbox with the user's streams or a terminal of its own. */
export const usersErrors = "exec 2>&6 6>&-";

/** Process 1 and what starts it. What a step sends to its process group must not reach ours, which no namespace keeps apart. */
function launchWords(host: Host, { network, script, terminal }: SandboxLaunch): readonly string[] {
  const namespaces = inNamespaces(host, { network, full: true });
  const shell = ["/bin/sh", script];
  if (terminal === "none") return [...namespaces, host.tool("setsid"), ...shell];
  if (terminal === "streams")
    return ["/bin/sh", "-c", `${messagesApart}; exec "$@"`, "sh", ...namespaces, host.tool("setsid"), ...shell];
  // It copies keys and sizes to the terminal that it makes, and what comes from there to the screen.
  return [
    ...diesWithParent(host),
    host.tool("script"),
    "-qefc",
    `${messagesApart}; exec ${shellWords([...namespaces, ...shell])}`,
    "/dev/null",
  ];
}

function sendSecrets(pipe: Writable, secrets: SandboxLaunch["secrets"]): void {
  // A sandbox that never started reads nothing; its exit code says why.
  pipe.on("error", () => {});
  pipe.end(secretLines(secrets));
}

export function launchSandbox(host: Host, launch: SandboxLaunch): Sandbox {
  const [program = "", ...rest] = launchWords(host, launch);
  const nothing = openSync("/dev/null", "r");
  let ready = false;
  let killed = false;
  try {
    const standard =
      launch.terminal === "none"
        ? (["ignore", "ignore", "pipe"] as const)
        : (["inherit", "inherit", "inherit"] as const);
    const secrets = Object.keys(launch.secrets).length > 0;
    const stdio: ("ignore" | "pipe" | "inherit" | number)[] = [
      ...standard,
      "pipe",
      secrets ? "pipe" : "ignore",
      launch.terminal === "none" ? "ignore" : "pipe",
    ];
    for (const fd of inheritedDescriptors()) {
      while (stdio.length < fd) stdio.push("ignore");
      if (stdio[fd] === undefined || stdio[fd] === "ignore") stdio[fd] = nothing;
    }
    const child = spawn(program, rest, { env: host.helperEnv, stdio });
    const streams: readonly unknown[] = child.stdio;
    if (secrets) sendSecrets(streams[secretsFd] as Writable, launch.secrets);
    const messages = collectText((streams[messagesFd] ?? child.stderr) as Readable);
    onLines(streams[reportFd] as Readable, (line) => {
      const report = parseReport(line);
      if (report?.event === "ready") ready = true;
      if (report !== undefined) launch.onReport(report);
    });
    const finished = once(child, "close").then(
      ([code, by]) => {
        if (ready) return;
        if (killed) throw interrupted();
        throw toolFailed("starting the sandbox", code ?? by, messages());
      },
      (cause) => {
        throw cannotStart(program, cause);
      },
    );
    finished.catch(() => {});
    return {
      finished,
      kill() {
        killed = true;
        killNamespace(child);
      },
    };
  } finally {
    closeSync(nothing);
  }
}

function collectText(stream: Readable): () => string {
  let text = "";
  stream.setEncoding("utf8").on("data", (piece: string) => {
    text = (text + piece).slice(-64 * 1024);
  });
  return () => text;
}

function onLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8").on("data", (piece: string) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  });
}
