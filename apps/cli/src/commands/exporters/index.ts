import { loadExporter } from "@melange2/plugin-host";
import { MelangeCommand } from "../../command.ts";
import { discover } from "../../discovery.ts";
import { inventory } from "../../plugins/inventory.ts";
import { inventoryText } from "../../present/plugins-text.ts";

export default class Exporters extends MelangeCommand {
  static override summary = "List the exporters that are here, and which plugins they are from";
  static override description = "What an exporter can be told: melange2 exporters show NAME.";

  async run(): Promise<void> {
    await this.parse(Exporters);
    const found = await inventory(discover(this.config), "exporters", loadExporter);
    this.print(inventoryText(found));
    this.result({ exporters: found.offers, broken: found.broken });
  }
}
