import { isMelangeError, MelangeError } from "@melange2/core";
import { Command, Errors, Flags } from "@oclif/core";
import { exitCodeOf, exitCodes } from "./exit-code.ts";
import { surviveLostOutput } from "./output-errors.ts";
import { errorJson, errorText, faultText } from "./present/error-text.ts";

/** What every command shares: `--json`, one way to end, one way to show an error. */
export abstract class MelangeCommand extends Command {
  static override baseFlags = {
    json: Flags.boolean({ description: "Print the result as JSON on standard output" }),
  };

  protected override async init(): Promise<void> {
    await super.init();
    surviveLostOutput();
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

  protected override async catch(error: Error): Promise<void> {
    if (error instanceof Errors.ExitError) throw error;
    const shown = isMelangeError(error) ? error : (reasonOfAbort(error) ?? fromOclif(error));
    if (!shown) {
      process.stderr.write(faultText(error));
      process.exitCode = exitCodes.engine;
      return;
    }
    process.stderr.write(errorText(shown));
    this.result(errorJson(shown));
    process.exitCode = exitCodeOf(shown.code);
  }
}

/** Node rejects with an error of its own where it was stopped, and has the signal's reason as its cause. */
function reasonOfAbort(error: Error): MelangeError | undefined {
  return error.name === "AbortError" && isMelangeError(error.cause) ? error.cause : undefined;
}

/** The one place where oclif's errors become ours: what its parser refuses is a usage error. */
function fromOclif(error: Error): MelangeError | undefined {
  if (!(error instanceof Errors.CLIError)) return undefined;
  const [said = ""] = error.message.split(/\n\s*\n|\nSee more help/);
  const [what = "", ...which] = said.split("\n").map((line) => line.trim());
  const message = which.length > 0 ? `${what.replace(/:$/, "")}: ${which.join(", ")}` : what;
  return new MelangeError("usage", message, { hint: "Add --help to see how this command is called.", cause: error });
}
