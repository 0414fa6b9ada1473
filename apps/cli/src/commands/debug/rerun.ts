import { runInScratch } from "@melange2/build";
import { commandOf, debugDirectory, MelangeError, type Step } from "@melange2/core";
import { Flags } from "@oclif/core";
import { withoutJson } from "../../command.ts";
import { DebugCommand } from "../../debug-command.ts";
import { helpTexts, rerunCapture } from "../../defaults.ts";
import { buildArgument } from "../../flags.ts";

/** Bytes. The kernel takes a word of 128 KiB at most. */
const longestWord = 100_000;

/** A longer script is read from the failure's own files. */
function rerunWords(step: Step): readonly string[] {
  const long = step.command === undefined && Buffer.byteLength(step.script) > longestWord;
  return long ? ["/bin/sh", `/${debugDirectory}/script`] : commandOf(step);
}

export default class DebugRerun extends DebugCommand {
  static override summary =
    "Run the failed step again, on a scratch copy of a kept state; ends with the step's exit code";
  static override baseFlags = withoutJson;
  static override args = { build: buildArgument };
  static override flags = {
    capture: Flags.string({
      description: helpTexts.rerun,
      default: rerunCapture,
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(DebugRerun);
    await using kept = await this.openKept(args.build);
    const missing = kept.step.secretEnv.filter((name) => !kept.secrets.names.includes(name));
    if (missing.length > 0) {
      throw new MelangeError("usage", `the step needs secrets that are not set: ${missing.join(", ")}`, {
        hint: "Set them in your environment; they are not kept.",
      });
    }
    const at = await kept.capture(flags.capture);
    this.endProgress();
    if (at.record.state === "at-failure") {
      process.stderr.write(
        "melange2: this state is the one the step left when it failed: its partial effects are there.\n",
      );
    }
    const exit = await runInScratch(kept, at, {
      argv: rerunWords(kept.step),
      workdir: kept.stored.plan.workspace,
      env: {},
      interactive: false,
      signal: this.signal,
    });
    this.endAs(exit);
  }
}
