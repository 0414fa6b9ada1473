import { spawn } from "node:child_process";
import { constants } from "node:os";
import { delimiter, join, resolve } from "node:path";

/** The root of the repository, absolute. */
export const root = resolve(import.meta.dirname, "../..");

/** A command that failed. It has said why itself, unless there is a message. */
export class Failure extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Runs a program with the repository's own tools, Node 24 among them, first on PATH; an exit code other than 0 is a Failure. */
export async function sh(argv, { cwd = root, env = {}, stdout = "inherit" } = {}) {
  const exitCode = await exitOf(argv, { cwd, env, stdout });
  if (exitCode !== 0) throw new Failure("", exitCode);
}

/** The same, but gives the exit code. `stdout`: as in Node's `stdio`; 2 sends it to stderr. */
export function exitOf([program, ...args], { cwd = root, env = {}, stdout = "inherit" } = {}) {
  const path = [join(root, "node_modules/.bin"), process.env.PATH].join(delimiter);
  const child = spawn(program, args, {
    cwd,
    stdio: ["inherit", stdout, "inherit"],
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", ...env, PATH: path },
  });
  // At a terminal Ctrl-C reaches the program as well: it decides, and this process waits for it.
  const wait = () => {};
  process.on("SIGINT", wait);
  return new Promise((done, failed) => {
    child.on("error", failed);
    child.on("close", (code, signal) => {
      process.off("SIGINT", wait);
      done(code ?? 128 + constants.signals[signal]);
    });
  });
}
