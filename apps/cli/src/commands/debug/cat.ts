import { readFileAt } from "@melange2/build";
import { withoutJson } from "../../command.ts";
import { DebugCommand } from "../../debug-command.ts";
import { buildArgument, captureFlag, requiredArgument } from "../../flags.ts";

export default class DebugCat extends DebugCommand {
  static override summary = "Print a file of a failed build";
  static override baseFlags = withoutJson;
  static override args = {
    path: requiredArgument("Absolute, or relative to the step's directory"),
    build: buildArgument,
  };
  static override flags = { capture: captureFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(DebugCat);
    await using kept = await this.openKept(args.build);
    const { snapshot } = await kept.capture(flags.capture);
    this.endProgress();
    await readFileAt(kept, snapshot, args.path, process.stdout, this.signal);
  }
}
