import { loadCapture } from "@melange2/plugin-host";
import { MelangeCommand } from "../../command.ts";
import { discover } from "../../discovery.ts";
import { inventory } from "../../plugins/inventory.ts";
import { inventoryText } from "../../present/plugins-text.ts";

export default class Captures extends MelangeCommand {
  static override summary = "List the capture strategies that are here, and which plugins they are from";

  async run(): Promise<void> {
    await this.parse(Captures);
    const found = await inventory(discover(this.config), "captures", loadCapture);
    this.print(inventoryText(found));
    this.result({ captures: found.offers, broken: found.broken });
  }
}
