import { comparePackages, failureStore } from "@melange2/build";
import { MelangeCommand } from "../../command.ts";
import { requiredArgument } from "../../flags.ts";
import { locations } from "../../locations.ts";
import { differencesText } from "../../present/packages-text.ts";

export default class DebugPackages extends MelangeCommand {
  static override summary = "Compare the packages of two failed builds' environments";
  static override description =
    "The first question when a recipe breaks overnight: which packages are not what they were.";
  static override examples = ["<%= config.bin %> debug packages 20261130 20261201"];
  static override args = {
    before: requiredArgument("Id of a kept build, or its beginning"),
    after: requiredArgument("Id of another kept build, or its beginning"),
  };

  async run(): Promise<void> {
    const { args } = await this.parse(DebugPackages);
    const store = failureStore(locations(process.env).builds);
    const [before, after] = [await store.read(args.before), await store.read(args.after)];
    const differences = comparePackages(before.record, after.record);
    this.print(differencesText(differences));
    this.result({ before: before.id, after: after.id, differences });
  }
}
