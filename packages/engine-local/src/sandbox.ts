import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import type { Readable } from "node:stream";
import { parseReport, type Report } from "./boot-script.ts";
import { cannotStart, interrupted, toolFailed } from "./foreign-errors.ts";
import type { Host } from "./host.ts";
import { inheritedDescriptors } from "./inherited-descriptors.ts";
import { killNamespace } from "./jobs.ts";
import { inNamespaces } from "./namespace.ts";

export interface SandboxLaunch {
  /** The file with the text of process 1. */
  readonly script: string;
  readonly network: "host" | "none";
  /** By name; they are in process 1's environment and in no argv. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Standard streams of process 1: inherited from Node for a terminal, else none. */
  readonly terminal: boolean;
  readonly onReport: (report: Report) => void;
}

export interface Sandbox {
  /** Ends process 1 and so everything in the sandbox. */
  kill(): void;
  /**
   * Resolves when every process of the sandbox is gone. Rejects with `engine` when it never came to the first step.
   */
  readonly finished: Promise<void>;
}

const reportFd = 3;

export function launchSandbox(host: Host, launch: SandboxLaunch): Sandbox {
  const [program = "", ...rest] = [
    ...inNamespaces(host, { network: launch.network, full: true }),
    // What a step sends to its process group must not reach ours, which no namespace keeps apart.
    ...(launch.terminal ? [] : [host.tool("setsid")]),
    "/bin/sh",
    launch.script,
  ];
  const nothing = openSync("/dev/null", "r");
  let ready = false;
  let killed = false;
  try {
    const standard = launch.terminal
      ? (["inherit", "inherit", "inherit"] as const)
      : (["ignore", "ignore", "pipe"] as const);
    const stdio: ("ignore" | "pipe" | "inherit" | number)[] = [...standard, "pipe"];
    for (const fd of inheritedDescriptors()) {
      if (fd === reportFd) continue;
      while (stdio.length < fd) stdio.push("ignore");
      stdio[fd] = nothing;
    }
    const child = spawn(program, rest, { env: { ...launch.secrets, ...host.helperEnv }, stdio });
    const stderr = collectText(child.stderr);
    onLines(child.stdio[reportFd] as Readable, (line) => {
      const report = parseReport(line);
      if (report?.event === "ready") ready = true;
      if (report !== undefined) launch.onReport(report);
    });
    const finished = once(child, "close").then(
      ([code, by]) => {
        if (ready) return;
        if (killed) throw interrupted();
        throw toolFailed("starting the sandbox", code ?? by, stderr());
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

function collectText(stream: Readable | null): () => string {
  let text = "";
  stream?.setEncoding("utf8").on("data", (piece: string) => {
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
