import { failureStore } from "@melange2/build";
import { recordedFailure } from "@melange2/core";
import { Flags } from "@oclif/core";
import { calledAs } from "../../called-as.ts";
import { MelangeCommand } from "../../command.ts";
import { buildArgument } from "../../flags.ts";
import { locations } from "../../locations.ts";
import { showText } from "../../present/kept-text.ts";
import { packagesOf } from "../../present/packages-text.ts";
import { printableText } from "../../present/printable-text.ts";

export default class DebugShow extends MelangeCommand {
  static override summary = "Show what is known of a failed build";
  static override args = { build: buildArgument };
  static override flags = {
    log: Flags.boolean({ description: "The failed step's whole output instead", exclusive: ["packages"] }),
    packages: Flags.boolean({ description: "The packages of its environments instead" }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(DebugShow);
    const stored = await failureStore(locations(process.env).builds).read(args.build);
    const log = await stored.log(recordedFailure(stored.record).step.id);
    if (flags.log && !this.asJson)
      process.stdout.write(process.stdout.isTTY ? printableText(new TextDecoder().decode(log)) : log);
    else if (flags.packages) this.print(packagesOf(stored.record));
    else this.print(showText(stored, log, calledAs(process.env)));
    const { id, record, exports } = stored;
    this.result({ id, record, exports, ...(flags.log ? { log: new TextDecoder().decode(log) } : {}) });
  }
}
