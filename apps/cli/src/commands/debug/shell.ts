import { runInScratch } from "@melange2/build";
import { withoutJson } from "../../command.ts";
import { DebugCommand } from "../../debug-command.ts";
import { buildArgument, captureFlag } from "../../flags.ts";

export default class DebugShell extends DebugCommand {
  static override summary = "Open a shell in a failed build: its files, directory, environment and user";
  static override description =
    "The shell works on a scratch copy; the kept state stays as it was. Words after -- are run instead of a shell.";
  static override baseFlags = withoutJson;
  static override args = { build: buildArgument };
  static override flags = { capture: captureFlag };
  static override examples = ["<%= config.bin %> debug shell", "<%= config.bin %> debug shell 20261123 -- ls -l"];

  async run(): Promise<void> {
    const end = this.argv.indexOf("--");
    const words = end < 0 ? [] : this.argv.slice(end + 1);
    const { args, flags } = await this.parse(DebugShell, end < 0 ? this.argv : this.argv.slice(0, end));
    await using kept = await this.openKept(args.build);
    const at = await kept.capture(flags.capture);
    const interactive = words.length === 0 && process.stdin.isTTY === true && process.stdout.isTTY === true;
    this.endProgress();
    const exit = await runInScratch(kept, at, {
      argv: words.length > 0 ? words : ["/bin/sh"],
      workdir: kept.step.workdir,
      env: { ENV: "/.melange2/profile", ...(process.env.TERM ? { TERM: process.env.TERM } : {}) },
      interactive,
      signal: this.signal,
    });
    this.endAs(exit);
  }
}
