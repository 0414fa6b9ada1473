import { findContribution, loadExporter } from "@melange2/plugin-host";
import { MelangeCommand } from "../../command.ts";
import { discover } from "../../discovery.ts";
import { requiredArgument } from "../../flags.ts";
import { sourceOf } from "../../plugins/inventory.ts";
import { listOptions } from "../../plugins/option-listing.ts";
import { offerText } from "../../present/plugins-text.ts";

export default class ExportersShow extends MelangeCommand {
  static override summary = "Show an exporter's options, with their types, defaults and environment variables";
  static override args = { name: requiredArgument("An exporter's name") };

  async run(): Promise<void> {
    const { args } = await this.parse(ExportersShow);
    const contribution = findContribution(discover(this.config), "exporters", args.name);
    const exporter = await loadExporter(contribution);
    const offer = { name: exporter.name, summary: exporter.summary, ...sourceOf(contribution.plugin) };
    const options = listOptions("exporter", exporter.options);
    this.print(offerText(offer, options));
    this.result({ ...offer, options });
  }
}
