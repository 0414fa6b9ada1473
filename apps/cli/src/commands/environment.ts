import { resolve } from "node:path";
import {
  type BuildHost,
  chooseEngine,
  enterEnvironment,
  exportEnvironment,
  type RecipeEnvironment,
  readyExport,
  recipeEnvironment,
  type UseEnvironmentOptions,
} from "@melange2/build";
import { MelangeError, type Tell } from "@melange2/core";
import { Flags, type Interfaces } from "@oclif/core";
import { MelangeCommand } from "../command.ts";
import { discover, tellProblems } from "../discovery.ts";
import { askedEngine, engineFlags } from "../engine-flags.ts";
import {
  exportFlags,
  exportRequest,
  packageFlags,
  packageRequest,
  progressFlag,
  recipeFlags,
  refuseIdleExportFlags,
  requiredArgument,
} from "../flags.ts";
import { buildHost } from "../host.ts";
import { interruptSignal } from "../interrupt.ts";
import { environmentReceipt, packagesText } from "../present/environment-text.ts";
import { openProgress, type ProgressMode } from "../progress/progress.ts";

export default class Environment extends MelangeCommand {
  static override summary = "Make the environment of a recipe, without building";
  static override description = [
    "Prints its packages, NAME=VERSION, in the order of installation. With --export it becomes an image, with --shell a shell opens in it;",
    "words after -- are run instead of the shell. --lock-file writes the exact packages down, for build --lock-file.",
  ].join("\n");
  static override examples = [
    "<%= config.bin %> environment pkg.yaml",
    "<%= config.bin %> environment pkg.yaml --lock-file pkg.lock.json",
    "<%= config.bin %> environment pkg.yaml --shell",
    "<%= config.bin %> environment pkg.yaml --test pkg --export --export-path=/tmp/environment.tar",
  ];
  static override args = { recipe: requiredArgument("A melange YAML file") };
  static override flags = {
    ...recipeFlags,
    test: Flags.string({ description: "The environment of this package's test instead of the build's" }),
    base: Flags.string({
      description: "Root filesystem that packages are installed on, as of build",
      env: "MELANGE2_BASE",
    }),
    ...packageFlags,
    shell: Flags.boolean({ description: "Open a shell in the environment" }),
    network: Flags.boolean({ description: "Whether the shell has a network", default: true, allowNo: true }),
    export: Flags.boolean({ description: "Export the environment as an image", helpGroup: "EXPORT" }),
    ...exportFlags,
    progress: progressFlag,
    ...engineFlags,
  };

  protected override readonly interrupt = interruptSignal();

  async run(): Promise<void> {
    const end = this.argv.indexOf("--");
    const words = end < 0 ? [] : this.argv.slice(end + 1);
    const { args, flags, raw } = await this.parse(Environment, end < 0 ? this.argv : this.argv.slice(0, end));
    if (!flags.export)
      refuseIdleExportFlags(
        raw.flatMap((token) => (token.type === "flag" ? [token.flag] : [])),
        "--export",
      );
    const enters = flags.shell || words.length > 0;
    if (enters && (flags.export || this.asJson))
      throw new MelangeError("usage", "a shell cannot be exported or printed as JSON", {
        hint: "Leave out --shell, or --export and --json.",
      });
    const { signal } = this.interrupt;
    const progress = await openProgress(flags.progress as ProgressMode, process.stderr);
    const tell: Tell = (body) => progress.onEvent({ ...body, build: "environment" });
    const contributions = discover(this.config);
    const host = buildHost({ contributions, toolVersion: this.config.version, json: this.asJson, signal });
    try {
      tellProblems(contributions, tell);
      const named = raw.some((token) => token.type === "flag" && token.flag === "engine");
      const { request } = askedEngine(flags, named || Boolean(process.env.MELANGE2_ENGINE), process.env);
      const engine = await chooseEngine(host, request);
      const made = await this.make(args.recipe, flags, host, tell);
      const use = { made, engine, network: flags.network, tell, signal };
      if (enters) {
        progress.end();
        await this.enter(use, words, host);
      } else await this.show(use, flags, host, () => progress.end());
    } finally {
      progress.end();
      this.interrupt.dispose();
    }
  }

  private make(
    recipe: string,
    flags: Interfaces.InferredFlags<typeof Environment.flags>,
    host: BuildHost,
    tell: Tell,
  ): Promise<RecipeEnvironment> {
    const { additions, packages } = packageRequest(flags);
    const { lock: writeLock, ...unlocked } = packages;
    return recipeEnvironment(
      {
        recipe,
        test: flags.test,
        arch: flags.arch,
        varsFile: flags["vars-file"],
        buildOptions: flags["build-option"] ?? [],
        libc: flags.libc,
        pipelineDirectories: (flags["pipeline-dir"] ?? []).map((path) => resolve(path)),
        base: flags.base,
        additions,
        packages: unlocked,
        writeLock,
        tell,
        signal: this.interrupt.signal,
      },
      host,
    );
  }

  private async enter(use: UseEnvironmentOptions, words: readonly string[], host: BuildHost): Promise<void> {
    const interactive = words.length === 0 && process.stdin.isTTY === true && process.stdout.isTTY === true;
    const argv = words.length > 0 ? words : ["/bin/sh"];
    const env: Record<string, string> = process.env.TERM ? { TERM: process.env.TERM } : {};
    const exit = await enterEnvironment(use, { argv, env, interactive }, host);
    process.exitCode = exit.reason === "interrupted" ? this.interrupt.exitCode : exit.code;
  }

  private async show(
    use: UseEnvironmentOptions,
    flags: Interfaces.InferredFlags<typeof Environment.flags>,
    host: BuildHost,
    endProgress: () => void,
  ): Promise<void> {
    const { made, tell, signal } = use;
    if (!flags.export) {
      endProgress();
      this.print(packagesText(made.packages));
      this.result({ package: made.subject.name, arch: made.subject.arch, packages: made.packages });
      return;
    }
    const ready = await readyExport(host, exportRequest(flags, process.env), made.subject, { tell, signal });
    const receipt = await exportEnvironment(use, ready, host);
    endProgress();
    const text = environmentReceipt(receipt);
    if (receipt.location === "standard output") process.stderr.write(text);
    else this.print(text);
    this.result({ package: made.subject.name, arch: made.subject.arch, packages: made.packages, export: receipt });
  }
}
