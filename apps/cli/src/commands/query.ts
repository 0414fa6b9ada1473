import { queryFile, yamlText } from "@melange2/build";
import { Args } from "@oclif/core";
import { MelangeCommand } from "../command.ts";
import { recipeFlags, requiredArgument } from "../flags.ts";
import { exactText } from "../present/printable-text.ts";

export default class Query extends MelangeCommand {
  static override summary = "Print fields of a recipe";
  static override description = [
    "A field is named as in the recipe, with dots between keys: package.version. The key behind a list is taken of each item, as in",
    'subpackages.name; subpackages[0].name is that of the first, and vars["a.b"] has a key with a dot. Ranges are expanded, and the',
    "variables that the recipe itself knows are filled in. A text is printed as a line, and a list of texts as lines; all else is",
    "YAML. With --json, one object has each field and its value.",
  ].join("\n");
  static override examples = [
    "<%= config.bin %> query pkg.yaml package.name package.version",
    "<%= config.bin %> query pkg.yaml subpackages.name",
  ];
  static override args = {
    recipe: requiredArgument("A melange YAML file"),
    field: Args.string({ description: "Fields, such as package.version", required: true, ignoreStdin: true }),
  };
  static override strict = false;
  static override flags = { "vars-file": recipeFlags["vars-file"] };

  async run(): Promise<void> {
    const { args, argv, flags } = await this.parse(Query);
    const fields = argv.slice(1).map(String);
    const values = await queryFile(args.recipe, fields, { varsFile: flags["vars-file"] });
    this.print(exactText(values.map(([, value]) => lines(value)).join(""), process.stdout));
    this.result(Object.fromEntries(values.map(([field, value]) => [field, value ?? null])));
  }
}

function lines(value: unknown): string {
  if (value === undefined) return "\n";
  if (Array.isArray(value) && value.every((item) => typeof item !== "object")) return value.map(lines).join("");
  if (typeof value === "object") return yamlText(value);
  const text = String(value);
  return text.endsWith("\n") ? text : `${text}\n`;
}
