import { findContribution, loadEngine } from "@melange2/plugin-host";
import { MelangeCommand } from "../../command.ts";
import { discover } from "../../discovery.ts";
import { requiredArgument } from "../../flags.ts";
import { sourceOf } from "../../plugins/inventory.ts";
import { listOptions } from "../../plugins/option-listing.ts";
import { offerText } from "../../present/plugins-text.ts";

export default class EnginesShow extends MelangeCommand {
  static override summary = "Show an engine's options, with their types, defaults and environment variables";
  static override args = { name: requiredArgument("An engine's name") };

  async run(): Promise<void> {
    const { args } = await this.parse(EnginesShow);
    const contribution = findContribution(discover(this.config), "engines", args.name);
    const engine = await loadEngine(contribution);
    const offer = { name: engine.name, summary: engine.summary, ...sourceOf(contribution.plugin) };
    const options = listOptions("engine", engine.options);
    this.print(offerText(offer, options));
    this.result({ ...offer, options });
  }
}
