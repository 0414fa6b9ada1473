import { copyOut } from "@melange2/build";
import { DebugCommand } from "../../debug-command.ts";
import { buildArgument, captureFlag, requiredArgument } from "../../flags.ts";
import { printableText } from "../../present/printable-text.ts";

export default class DebugCopy extends DebugCommand {
  static override summary = "Copy a file or folder out of a failed build";
  static override args = {
    source: requiredArgument("Absolute, or relative to the step's directory"),
    destination: requiredArgument("On this machine; an existing folder takes it inside"),
    build: buildArgument,
  };
  static override flags = { capture: captureFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(DebugCopy);
    await using kept = await this.openKept(args.build);
    const { snapshot } = await kept.capture(flags.capture);
    const { tell, signal } = this;
    const target = await copyOut(kept, snapshot, args.source, args.destination, { tell, signal });
    this.endProgress();
    this.print(`${printableText(target)}\n`);
    this.result({ path: target });
  }
}
