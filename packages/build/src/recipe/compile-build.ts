import { statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { type CacheMount, formatLocation, MelangeError, noSecrets, type Plan, type Tell } from "@melange2/core";
import { type EnvironmentAdditions, type EnvironmentRequest, readRecipe } from "@melange2/recipe";
import type { BuildHost } from "../host.ts";
import { refuseUnwritable } from "../output/writable-folder.ts";
import { refuseSpelledOut, type StepVariables } from "../variables/secrets.ts";
import { refuseTooLarge } from "./kernel-limits.ts";

export interface CompileBuildOptions {
  /** The recipe's file. */
  readonly recipe: string;
  /** apk's name of the architecture. Default: this machine's. */
  readonly arch?: string | undefined;
  /** A YAML map of values for `vars`, over the recipe's own. */
  readonly varsFile?: string | undefined;
  /** The recipe's `options` to build with. */
  readonly buildOptions?: readonly string[];
  readonly libc?: "gnu" | "musl";
  /** Where `uses` looks before the built-in pipelines. */
  readonly pipelineDirectories?: readonly string[];
  /** What steps see as /var/cache/melange. */
  readonly cacheDirectory?: string | undefined;
  readonly caches?: readonly Omit<CacheMount, "kind">[];
  /** Seconds. */
  readonly stepTimeout?: number | undefined;
  /** Steps print their commands. */
  readonly debug?: boolean;
  /** Default: none. */
  readonly variables?: StepVariables;
  /** What environments have beside what the recipe asks for. */
  readonly additions?: EnvironmentAdditions;
  readonly tell: Tell;
}

/** A recipe that can be built here. */
export interface CompiledBuild {
  readonly recipe: string;
  readonly plan: Plan;
  /** By name, what each of the plan's environments is made from. */
  readonly requests: Readonly<Record<string, EnvironmentRequest>>;
}

/** apk's name of this machine's architecture. */
export function hostArchitecture(): string {
  return hostArchitectures[process.arch] ?? process.arch;
}

const hostArchitectures: Readonly<Partial<Record<NodeJS.Architecture, string>>> = { x64: "x86_64", arm64: "aarch64" };

const noVariables: StepVariables = { plain: {}, secrets: noSecrets };

/** From a recipe's file to a plan; `skipped`: why there is nothing to build, which is no error. Rejects with `recipe` or `usage`. */
export async function compileBuild(
  options: CompileBuildOptions,
  host: Pick<BuildHost, "env">,
): Promise<CompiledBuild | { readonly skipped: string }> {
  const { tell, variables = noVariables, cacheDirectory, caches = [], pipelineDirectories = [] } = options;
  refuseHidden(cacheDirectory, caches);
  pipelineDirectories.forEach(refuseMissingFolder);
  const compiled = await readRecipe(options.recipe, {
    arch: options.arch ?? hostArchitecture(),
    pipelineDirectories,
    varsFile: options.varsFile,
    buildOptions: options.buildOptions ?? [],
    ...(options.libc === undefined ? {} : { libc: options.libc }),
    environment: variables.plain,
    secretEnv: variables.secrets.names,
    caches,
    debug: options.debug ?? false,
    ...(options.additions === undefined ? {} : { additions: options.additions }),
    sourceDateEpoch: sourceDateEpochOf(host.env),
    ...(options.stepTimeout === undefined ? {} : { stepTimeout: options.stepTimeout }),
    ...(cacheDirectory === undefined ? {} : { cacheDirectory: await existing(cacheDirectory) }),
  });
  for (const { message, location, hint } of compiled.warnings) {
    const where = location ? `${formatLocation(location)}: ` : "";
    tell({ type: "notice", level: "warning", message: where + message, ...(hint ? { hint } : {}) });
  }
  if (compiled.kind === "skipped") {
    tell({ type: "notice", level: "warning", message: `nothing to build: ${compiled.reason}` });
    return { skipped: compiled.reason };
  }
  const { plan, environments } = compiled;
  refuseSpelledOut(variables.secrets, plan);
  refuseTooLarge(plan, variables.secrets);
  return { recipe: options.recipe, plan, requests: environments };
}

/** Seconds since 1970; 0 where it is not set. Throws `usage`. */
export function sourceDateEpochOf({ SOURCE_DATE_EPOCH: text }: BuildHost["env"]): number {
  const epoch = Number(text ?? 0);
  if (Number.isSafeInteger(epoch) && epoch >= 0) return epoch;
  throw new MelangeError("usage", `SOURCE_DATE_EPOCH="${text}" is not a number of seconds`, {
    hint: "Give whole seconds since 1970, or unset it.",
  });
}

function refuseHidden(cacheDirectory: string | undefined, caches: readonly Omit<CacheMount, "kind">[]): void {
  const taken = cacheDirectory === undefined ? undefined : caches.find(({ target }) => target === "/var/cache/melange");
  if (taken === undefined) return;
  throw new MelangeError("usage", `--cache-mount ${taken.source}:${taken.target} is where --cache-dir is seen`, {
    hint: "Leave one of them out.",
  });
}

/** A folder that is not there would be searched in vain, and the built-in pipeline of the same name taken instead. */
export function refuseMissingFolder(pipelineDirectory: string): void {
  if (statSync(pipelineDirectory, { throwIfNoEntry: false })?.isDirectory()) return;
  throw new MelangeError("usage", `--pipeline-dir ${pipelineDirectory} is not a folder`, {
    hint: "Give the folder that the names in `uses` are relative to.",
  });
}

async function existing(directory: string): Promise<string> {
  const absolute = resolve(directory);
  await refuseUnwritable(absolute, "the cache directory", "Give --cache-dir a folder of yours.");
  await mkdir(absolute, { recursive: true });
  return absolute;
}
