import { failureStore } from "@melange2/build";
import { MelangeCommand } from "../../command.ts";
import { locations } from "../../locations.ts";
import { listText } from "../../present/kept-text.ts";

export default class DebugList extends MelangeCommand {
  static override summary = "List the failed builds that are kept on this machine, newest first";

  async run(): Promise<void> {
    await this.parse(DebugList);
    const { failures, unreadable } = await failureStore(locations(process.env).builds).list();
    this.print(listText(failures, unreadable));
    this.result({ builds: failures.map(({ id, record, exports }) => ({ id, record, exports })), unreadable });
  }
}
