import { isMelangeError, MelangeError } from "@melange2/core";
import { Command, Errors, Flags } from "@oclif/core";
import { exitCodeOf, exitCodes } from "./exit-code.ts";
import type { Interrupt } from "./interrupt.ts";
import { surviveLostOutput } from "./output-errors.ts";
import { errorJson, faultText } from "./present/error-text.ts";

/** What every command shares: `--json`, one way to end, one way to show an error. */
export abstract class MelangeCommand extends Command {
  static override baseFlags = {
    json: Flags.boolean({ description: "Print the result as JSON on standard output" }),
  };

  /** What interrupts this command, once anything does. */
  protected interrupt: Interrupt | undefined;

  protected override async init(): Promise<void> {
    await super.init();
    surviveLostOutput((message) => this.tellLostOutput(message));
  }

  protected tellLostOutput(message: string): void {
    process.stderr.write(`melange2: error: ${message}\n`);
  }

  /** Text for people on standard output, unless `--json` was given. */
  protected print(text: string): void {
    if (!this.asJson) process.stdout.write(text);
  }

  protected result(value: unknown): void {
    if (this.asJson) process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
  }

  protected get asJson(): boolean {
    const end = this.argv.indexOf("--");
    return (end < 0 ? this.argv : this.argv.slice(0, end)).includes("--json");
  }

  protected override async catch(thrown: Error): Promise<void> {
    const error = firstOf(thrown);
    if (error instanceof Errors.ExitError) throw error;
    const shown = isMelangeError(error) ? error : (reasonOfAbort(error) ?? fromSystem(error) ?? fromOclif(error));
    await this.showError(shown ?? error);
    if (shown) this.result(errorJson(shown));
    process.exitCode = shown ? exitCodeOf(shown.code, this.interrupt) : exitCodes.engine;
  }

  /** On standard error, beside what `--json` prints. */
  protected async showError(error: Error): Promise<void> {
    process.stderr.write(faultText(error));
  }
}

/** The flags of every command, for one whose standard output is not its own: it is a file's, or a step's. */
export const withoutJson = {} as typeof MelangeCommand.baseFlags;

/** Where closing something fails after an error, the error is what a person must hear of. */
function firstOf(error: Error): Error {
  return error instanceof SuppressedError && error.suppressed instanceof Error ? firstOf(error.suppressed) : error;
}

/** Node rejects with an error of its own where it was stopped, and has the signal's reason as its cause. */
function reasonOfAbort(error: Error): MelangeError | undefined {
  return error.name === "AbortError" && isMelangeError(error.cause) ? error.cause : undefined;
}

/** What a file or a disk can be like without anybody's fault, and what helps; where nobody looked at it before, the system's words name the path. */
const ordinary: Readonly<Record<string, string>> = {
  EACCES: "See that the path is what it should be, and that you may use it.",
  EDQUOT: "Free some of your quota on that disk; melange2 debug prune forgets kept builds.",
  EIO: "The disk fails: see the system's log.",
  EMFILE: "Raise the limit of open files: ulimit -n.",
  ENFILE: "The machine has too many open files: end some programs.",
  ENAMETOOLONG: "Give a shorter path.",
  ENOENT: "See that the path is there, and all folders above it.",
  ENOSPC: "Free some room on that disk; melange2 debug prune forgets kept builds.",
  ENOTDIR: "See that every folder above that path is one.",
  EISDIR: "Name a file, not a folder.",
  EPERM: "See that the path is what it should be, and that you may use it.",
  EROFS: "The disk is read-only: choose another folder.",
  ELOOP: "Its symlinks lead round in a circle: mend them.",
};

/** What no other path helps against. */
const ofTheMachine: ReadonlySet<string> = new Set(["EDQUOT", "EIO", "EMFILE", "ENFILE", "ENOSPC"]);

function fromSystem(error: NodeJS.ErrnoException): MelangeError | undefined {
  if (error.syscall === "uv_cwd") {
    const hint = "Change into a folder that is there.";
    return new MelangeError("usage", "the current folder is gone", { hint, cause: error });
  }
  const { code = "" } = error;
  const hint = ordinary[code];
  if (error.syscall === undefined || hint === undefined) return undefined;
  return new MelangeError(ofTheMachine.has(code) ? "engine" : "usage", error.message, { hint, cause: error });
}

/** The one place where oclif's errors become ours: what its parser refuses is a usage error. */
function fromOclif(error: Error): MelangeError | undefined {
  if (!(error instanceof Errors.CLIError)) return undefined;
  const [said = ""] = error.message.split(/\n\s*\n|\nSee more help/);
  const [what = "", ...which] = said.split("\n").map((line) => line.trim());
  const message = which.length > 0 ? `${what.replace(/:$/, "")}: ${which.join(", ")}` : what;
  return new MelangeError("usage", message, { hint: "Add --help to see how this command is called.", cause: error });
}
