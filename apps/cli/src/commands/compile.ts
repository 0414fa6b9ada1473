import type { Problem } from "@melange2/core";
import {
  type CompiledRecipe,
  compiledConfiguration,
  compileRecipe,
  parseRecipeFile,
  pipelineDirectories,
  yamlText,
} from "@melange2/recipe";
import { MelangeCommand } from "../command.ts";
import { recipeFlags, requiredArgument } from "../flags.ts";
import { hostArchitecture } from "../host-architecture.ts";
import { refuseMissingFolder } from "../pipeline-folder.ts";
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
    const directories = flags["pipeline-dir"] ?? [];
    directories.forEach(refuseMissingFolder);
    const parsed = await parseRecipeFile(args.recipe, { varsFile: flags["vars-file"] });
    const compiled = await compileRecipe(parsed, {
      arch: flags.arch ?? hostArchitecture(),
      pipelines: pipelineDirectories(directories),
      buildOptions: flags["build-option"] ?? [],
      libc: flags.libc,
    });
    tellWarnings(compiled.warnings);
    if (compiled.kind === "skipped") {
      tellWarnings([{ message: `nothing to compile: ${compiled.reason}` }]);
      this.result({ status: "skipped", reason: compiled.reason });
      return;
    }
    tellWarnings(refusalsOf(compiled));
    const configuration = await compiledConfiguration(compiled);
    this.print(exactText(yamlText(configuration), process.stdout));
    this.result(configuration);
  }
}

function tellWarnings(problems: readonly Problem[]): void {
  for (const problem of problems) process.stderr.write(warningText(problem));
}

/** What a build of the packages, or a test of them, refuses. */
function refusalsOf({ refusals, packages }: CompiledRecipe): readonly Problem[] {
  const all = [...refusals, ...packages.flatMap(({ test }) => test?.refusals ?? [])];
  return all.map((problem) => ({ ...problem, message: `${problem.message}: the recipe compiles, but does not build` }));
}
