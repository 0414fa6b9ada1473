import { readyExport } from "@melange2/build";
import { isMelangeError } from "@melange2/core";
import { Flags } from "@oclif/core";
import { DebugCommand } from "../../debug-command.ts";
import { helpTexts } from "../../defaults.ts";
import { tellProblems } from "../../discovery.ts";
import { exitCodes } from "../../exit-code.ts";
import { buildArgument, exportFlags, exportRequest } from "../../flags.ts";
import { receiptText } from "../../present/build-text.ts";

export default class DebugExport extends DebugCommand {
  static override summary = "Export a failed build as a debug image, now";
  static override description = helpTexts.debugExport;
  static override args = { build: buildArgument };
  static override flags = {
    rerun: Flags.boolean({ description: "Where the engine has lost the states: run the steps again that made them" }),
    ...exportFlags,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(DebugExport);
    const request = exportRequest(flags, process.env);
    const stored = await this.stored(args.build);
    const { subject } = stored.record;
    const { tell, signal } = this;
    await this.startProgress();
    tellProblems(this.contributions, tell);
    const ready = await readyExport(this.host, request, subject, { tell, signal });
    await using kept = await this.openKept(stored.id, { rerun: flags.rerun });
    try {
      const exported = await kept.export(ready);
      this.endProgress();
      const toStdout = exported.receipt.location === "standard output";
      if (!toStdout) this.print(receiptText(exported));
      else process.stderr.write(receiptText(exported));
      this.result(exported);
    } catch (error) {
      if (isMelangeError(error) && error.code === "engine") process.exitCode = exitCodes.engine;
      throw error;
    }
  }
}
