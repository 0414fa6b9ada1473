import { packageVersion } from "@melange2/build";
import { MelangeCommand } from "../command.ts";
import { requiredArgument } from "../flags.ts";
import { exactText } from "../present/printable-text.ts";

export default class PackageVersion extends MelangeCommand {
  static override summary = "Print the name of a recipe's package with its version: NAME-VERSION-rEPOCH";
  static override examples = ["<%= config.bin %> package-version pkg.yaml"];
  static override args = { recipe: requiredArgument("A melange YAML file") };

  async run(): Promise<void> {
    const { args } = await this.parse(PackageVersion);
    const { name, version, epoch } = await packageVersion(args.recipe);
    const fullVersion = `${version}-r${epoch}`;
    this.print(exactText(`${name}-${fullVersion}\n`, process.stdout));
    this.result({ name, version, epoch, fullVersion });
  }
}
