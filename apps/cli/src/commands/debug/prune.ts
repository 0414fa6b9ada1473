import { forgetBuilds } from "@melange2/build";
import { MelangeError } from "@melange2/core";
import { Args, Flags } from "@oclif/core";
import { DebugCommand } from "../../debug-command.ts";
import { exitCodes } from "../../exit-code.ts";

export default class DebugPrune extends DebugCommand {
  static override summary = "Forget a failed build and free its state";
  static override args = { build: Args.string({ description: "Id, or its beginning", ignoreStdin: true }) };
  static override flags = {
    all: Flags.boolean({ description: "Every kept build", default: false }),
    force: Flags.boolean({ description: "Also builds whose states cannot be freed", default: false }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(DebugPrune);
    if (flags.all === (args.build !== undefined)) {
      throw new MelangeError("usage", "say which build to forget", { hint: "melange2 debug prune BUILD, or --all" });
    }
    await this.startProgress();
    const { host, tell, signal } = this;
    const { forgotten, notFreed } = await forgetBuilds({ host, build: args.build, force: flags.force, tell, signal });
    this.endProgress();
    if (forgotten.length > 0)
      this.print(`forgot ${forgotten.length === 1 ? forgotten[0] : `${forgotten.length} builds`}\n`);
    this.result({ forgotten, notFreed });
    if (notFreed.length > 0 && !flags.force) process.exitCode = exitCodes.engine;
  }
}
