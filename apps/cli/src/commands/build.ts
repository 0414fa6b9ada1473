import { resolve } from "node:path";
import {
  type BuildOutcome,
  type BuildReport,
  build,
  cacheMounts,
  chooseEngine,
  type ExportRequest,
  newBuildId,
  readVariables,
} from "@melange2/build";
import { isMelangeError, type Tell } from "@melange2/core";
import { Flags, type Interfaces } from "@oclif/core";
import { calledAs } from "../called-as.ts";
import { MelangeCommand } from "../command.ts";
import { discover, tellProblems } from "../discovery.ts";
import { askedEngine, engineFlags } from "../engine-flags.ts";
import { exitCodeOf, exitCodes } from "../exit-code.ts";
import {
  debugExportWords,
  exportFlags,
  exportRequest,
  packageFlags,
  packageRequest,
  progressFlag,
  recipeFlags,
  refuseIdleExportFlags,
  repeatable,
  requiredArgument,
} from "../flags.ts";
import { buildHost } from "../host.ts";
import { interruptSignal } from "../interrupt.ts";
import { buildText } from "../present/build-text.ts";
import { errorEvents } from "../present/error-text.ts";
import { askedProgress, openProgress, type Progress, type ProgressMode } from "../progress/progress.ts";

/** The report as `--json` has it: what asks for an export again is a command there. */
function asJson({ failure, ...report }: BuildReport): unknown {
  const exported = failure?.export;
  if (!failure || !exported || exported.ok || !exported.again) return { ...report, ...(failure ? { failure } : {}) };
  const again = ["melange2", ...debugExportWords(report.build, exported.again)];
  return { ...report, failure: { ...failure, export: { ...exported, again } } };
}

export default class Build extends MelangeCommand {
  static override summary = "Build the packages of a recipe, step by step";
  static override description = [
    "When a step fails, its environment is kept on this machine (melange2 debug) and, with --export-on-failure, exported as an image.",
    "",
    "Exit codes: 0 built, 1 a step failed, 2 usage or recipe error, 3 engine error, 130 interrupted by Ctrl-C, 143 by SIGTERM. An export",
    "that fails never changes a 1: it is reported beside it.",
  ].join("\n");
  static override examples = [
    "<%= config.bin %> build pkg.yaml --base rootfs.tar",
    "<%= config.bin %> build pkg.yaml --base rootfs.tar --export-on-failure --export-path=/tmp/debug.tar",
  ];
  static override args = { recipe: requiredArgument("A melange YAML file") };
  static override flags = {
    base: Flags.string({
      description:
        "Root filesystem to build in: a folder, a tar (plain, gzip, xz, zstd), an OCI layout or archive, a docker archive, or an image in a registry, REGISTRY/IMAGE:TAG",
      env: "MELANGE2_BASE",
    }),
    ...recipeFlags,
    "source-dir": Flags.string({
      description:
        "Files copied into the workspace, but for what .melangeignore there names and the base and what melange2 itself wrote (state, cache, output, archives); default: the folder beside the recipe that is named like the package, else the recipe's folder",
    }),
    ...packageFlags,
    "cache-dir": Flags.string({ description: "Folder that steps see as /var/cache/melange; never part of an image" }),
    "cache-mount": Flags.string({
      description: "NAME:PATH, a folder that the engine keeps from build to build and steps see at PATH; in no image",
      ...repeatable,
    }),
    // Node takes --env-file for itself, npx's own Node among them, wherever it stands among the words.
    "variables-file": Flags.string({
      aliases: ["env-file"],
      description:
        "Variables for the steps, NAME=VALUE a line; also --env-file, which npx and node take for themselves",
      ...repeatable,
    }),
    "plain-env": Flags.string({
      description: "A name in a variables file that looks like a secret and is none",
      ...repeatable,
    }),
    "secret-env": Flags.string({ description: "Variable of yours that steps get as a secret", ...repeatable }),
    "allow-short-secret": Flags.string({
      description: "A secret that may be too short to be masked in logs and searched for in images",
      ...repeatable,
    }),
    "out-dir": Flags.string({ description: "Where the packages' files go, as ARCH/PACKAGE", default: "packages" }),
    // A timer of Node has 31 bits of milliseconds; with more it ends at once.
    "step-timeout": Flags.integer({ description: "Seconds that a step may take", min: 1, max: 2_147_483 }),
    network: Flags.boolean({ description: "Whether steps have a network", default: true, allowNo: true }),
    debug: Flags.boolean({ description: "Steps print their commands (set -x)" }),
    progress: progressFlag,
    ...engineFlags,
    "no-capture": Flags.boolean({
      description: "Do not keep the state that a failing step leaves; the one before it is kept all the same",
      exclusive: ["export-on-failure"],
    }),
    "export-on-failure": Flags.boolean({
      description: "Export the environment of a failed step",
      env: "MELANGE2_EXPORT_ON_FAILURE",
      helpGroup: "EXPORT",
    }),
    ...exportFlags,
  };

  #progress: Progress | undefined;
  /** When the build was started that has not ended. */
  #running: number | undefined;
  readonly #id = newBuildId(new Date());
  readonly #tell: Tell = (body) => {
    if (body.type === "build-started") this.#running = Date.parse(body.time);
    if (body.type === "build-finished") this.#running = undefined;
    this.#progress?.onEvent({ ...body, build: this.#id });
  };

  async run(): Promise<void> {
    const { args, flags, raw } = await this.parse(Build);
    const given = raw.flatMap((token) => (token.type === "flag" ? [token.flag] : []));
    const engineNamed = given.includes("engine") || Boolean(process.env.MELANGE2_ENGINE);
    const exporting = flags["export-on-failure"];
    if (!exporting) refuseIdleExportFlags(given);
    const wanted = exporting ? exportRequest(flags, process.env) : undefined;
    const interrupt = interruptSignal();
    this.interrupt = interrupt;
    this.#progress = await openProgress(flags.progress as ProgressMode, process.stderr);
    try {
      const report = await this.build(args.recipe, flags, engineNamed, wanted, interrupt.signal);
      this.#progress.end();
      if (report.status === "skipped") this.result(report);
      else this.show(report);
    } finally {
      interrupt.dispose();
    }
  }

  /** Standard error is a stream of events, also when the command line is refused. */
  private get asEvents(): boolean {
    return askedProgress(this.argv, process.env) === "rawjson";
  }

  protected override tellLostOutput(message: string): void {
    if (this.asEvents) this.#tell({ type: "notice", level: "error", message });
    else super.tellLostOutput(message);
  }

  protected override async showError(error: Error): Promise<void> {
    if (!this.asEvents) {
      this.#progress?.end();
      return super.showError(error);
    }
    this.#progress ??= await openProgress("rawjson", process.stderr);
    errorEvents(error).forEach(this.#tell);
    if (this.#running !== undefined) {
      const status = isMelangeError(error) && error.code === "interrupted" ? "interrupted" : "failed";
      this.#tell({ type: "build-finished", status, duration: Date.now() - this.#running });
    }
    this.#progress.end();
  }

  private async build(
    recipe: string,
    flags: Interfaces.InferredFlags<typeof Build.flags>,
    engineNamed: boolean,
    wanted: ExportRequest | undefined,
    signal: AbortSignal,
  ): Promise<BuildOutcome> {
    const tell = this.#tell;
    const contributions = discover(this.config);
    const { idle, request } = askedEngine(flags, engineNamed, process.env);
    for (const flag of idle) {
      const message = `${flag} is not for the engine "${request.name}", and is not used`;
      tell({ type: "notice", level: "warning", message, hint: "Leave it out, or choose its engine with --engine." });
    }
    tellProblems(contributions, tell);
    const variables = await readVariables({
      envFiles: flags["variables-file"] ?? [],
      plainNames: flags["plain-env"] ?? [],
      secretNames: flags["secret-env"] ?? [],
      shortNames: flags["allow-short-secret"] ?? [],
      env: process.env,
      signal,
    });
    const host = buildHost({ contributions, toolVersion: this.config.version, json: this.asJson, signal });
    const engine = await chooseEngine(host, request);
    return build(
      {
        id: this.#id,
        recipe,
        base: flags.base,
        arch: flags.arch,
        varsFile: flags["vars-file"],
        buildOptions: flags["build-option"] ?? [],
        libc: flags.libc,
        sourceDirectory: flags["source-dir"],
        pipelineDirectories: flags["pipeline-dir"] ?? [],
        cacheDirectory: flags["cache-dir"] === undefined ? undefined : resolve(flags["cache-dir"]),
        caches: cacheMounts(flags["cache-mount"] ?? []),
        stepTimeout: flags["step-timeout"],
        debug: flags.debug,
        variables,
        ...packageRequest(flags),
        engine,
        network: flags.network,
        capture: !flags["no-capture"],
        outDirectory: resolve(flags["out-dir"]),
        exportOnFailure: wanted,
        tell,
        signal,
      },
      host,
    );
  }

  private show(report: BuildReport): void {
    const command = calledAs(process.env);
    if (!this.asEvents) process.stderr.write(buildText(report, command));
    this.result(asJson(report));
    const interrupted = exitCodeOf("interrupted", this.interrupt);
    process.exitCode = { built: exitCodes.built, failed: exitCodes.stepFailed, interrupted }[report.status];
  }
}
