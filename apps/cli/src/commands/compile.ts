import { compileFile } from "@melange2/build";
import type { Problem } from "@melange2/core";
import { MelangeCommand } from "../command.ts";
import { recipeFlags, requiredArgument } from "../flags.ts";
import { warningText } from "../present/error-text.ts";
import { exactText } from "../present/printable-text.ts";

export default class Compile extends MelangeCommand {
  static override summary = "Print a recipe as it is built: variables filled in, ranges and used pipelines written out";
  static override description = [
    "The result is a recipe itself, as packages hold it as .melange.yaml. Nothing is run and nothing is fetched.",
    "",
    "Exit codes: 0 compiled, or not for this architecture (which is said), 2 usage or recipe error.",
  ].join("\n");
  static override examples = [
    "<%= config.bin %> compile pkg.yaml",
    "<%= config.bin %> compile pkg.yaml --arch aarch64 --json",
  ];
  static override args = { recipe: requiredArgument("A melange YAML file") };
  static override flags = recipeFlags;

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Compile);
    const compiled = await compileFile(args.recipe, {
      arch: flags.arch,
      varsFile: flags["vars-file"],
      buildOptions: flags["build-option"] ?? [],
      libc: flags.libc,
      pipelineDirectories: flags["pipeline-dir"] ?? [],
    });
    tellWarnings(compiled.warnings);
    if ("skipped" in compiled) {
      tellWarnings([{ message: `nothing to compile: ${compiled.skipped}` }]);
      this.result({ status: "skipped", reason: compiled.skipped });
      return;
    }
    this.print(exactText(compiled.text, process.stdout));
    this.result(compiled.configuration);
  }
}

function tellWarnings(problems: readonly Problem[]): void {
  for (const problem of problems) process.stderr.write(warningText(problem));
}
