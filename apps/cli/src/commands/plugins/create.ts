import { join, resolve } from "node:path";
import { MelangeError } from "@melange2/core";
import { calledAs } from "../../called-as.ts";
import { MelangeCommand } from "../../command.ts";
import { discover } from "../../discovery.ts";
import { requiredArgument } from "../../flags.ts";
import { createExporter, packageName } from "../../plugins/new-exporter.ts";
import { shellQuote } from "../../present/shell-quote.ts";

export default class PluginsCreate extends MelangeCommand {
  static override summary = "Write the package of an exporter of your own, which works and is tested";
  static override description = "It is put into melange2-exporter-NAME in the current folder.";
  static override args = { name: requiredArgument("The exporter's name, as --export-type is to know it") };

  async run(): Promise<void> {
    const { args } = await this.parse(PluginsCreate);
    const { name } = args;
    const taken = discover(this.config).all.find((one) => one.kind === "exporters" && one.name === name);
    if (taken) {
      throw new MelangeError("usage", `there is an exporter "${name}" already, of ${taken.plugin.name}`, {
        hint: "Choose another name: two plugins with one name cannot be used together.",
      });
    }
    const folder = resolve(packageName(name));
    const template = join(this.config.root, "template", "exporter");
    const files = await createExporter({ name, folder, template, version: this.config.version });
    const next = [
      ["cd", packageName(name)],
      ["npm", "install"],
      ["npm", "test"],
      [...calledAs(process.env), "plugins", "link", "."],
    ];
    this.print(
      [
        `created ${folder}:`,
        ...files.map((file) => `  ${file}`),
        "next:",
        ...next.map((argv) => `  ${shellQuote(argv)}`),
        "",
      ].join("\n"),
    );
    this.result({ name, package: packageName(name), folder, files });
  }
}
