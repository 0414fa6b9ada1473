import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { lastLines } from "@melange2-tooling/machine";

export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A file for its standard input; without it that is empty. */
  readonly input?: string;
  /** A file for everything it prints. */
  readonly log: string;
  /** The exit code that it must end with; another one is an error with the end of the log. */
  readonly exit: number;
}

/** Seconds from a program's start to its end. */
export async function timed(command: Command): Promise<number> {
  const [program = "", ...rest] = command.argv;
  const input = openSync(command.input ?? "/dev/null", "r");
  const log = openSync(command.log, "w");
  const started = performance.now();
  const child = spawn(program, rest, { stdio: [input, log, log], env: { ...process.env, ...command.env } });
  closeSync(input);
  closeSync(log);
  const exit = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? signal));
  });
  const seconds = (performance.now() - started) / 1000;
  if (exit === command.exit) return seconds;
  const said = lastLines(await readFile(command.log, "utf8"), 15);
  throw new Error(`${command.argv.join(" ")} ended with ${exit}, not with ${command.exit}:\n${said}`);
}
