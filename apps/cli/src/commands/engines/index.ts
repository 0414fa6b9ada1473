import { loadEngine } from "@melange2/plugin-host";
import { MelangeCommand } from "../../command.ts";
import { discover } from "../../discovery.ts";
import { inventory } from "../../plugins/inventory.ts";
import { inventoryText } from "../../present/plugins-text.ts";

export default class Engines extends MelangeCommand {
  static override summary = "List the engines that are here, and which plugins they are from";
  static override description = "What an engine can be told: melange2 engines show NAME.";

  async run(): Promise<void> {
    await this.parse(Engines);
    const found = await inventory(discover(this.config), "engines", loadEngine);
    this.print(inventoryText(found));
    this.result({ engines: found.offers, broken: found.broken });
  }
}
