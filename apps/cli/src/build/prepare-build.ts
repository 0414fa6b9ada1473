import { existsSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import {
  type CacheMount,
  type Engine,
  type Environment,
  formatLocation,
  MelangeError,
  type Plan,
  type Platform,
  runTask,
  type Subject,
  type TaskTeller,
  type Tell,
} from "@melange2/core";
import { composedLayers, composeEnvironment, type MissingPackages, type OnProgress } from "@melange2/environment";
import { readRecipe } from "@melange2/recipe";
import type { KeptEnvironment } from "@melange2/records";
import { baseEnvironment } from "./base-environment.ts";
import type { ReadyExport } from "./export-request.ts";
import { refuseTooLarge } from "./kernel-limits.ts";
import { type OwnFiles, ownFiles } from "./own-files.ts";
import { refuseSpelledOut, type StepVariables } from "./secrets.ts";
import { refuseUnwritable } from "./writable-folder.ts";

export interface PrepareOptions {
  readonly recipe: string;
  readonly base: string | undefined;
  readonly arch: string | undefined;
  readonly varsFile: string | undefined;
  readonly buildOptions: readonly string[];
  readonly libc: "gnu" | "musl";
  readonly sourceDirectory: string | undefined;
  readonly pipelineDirectories: readonly string[];
  readonly cacheDirectory: string | undefined;
  readonly caches: readonly Omit<CacheMount, "kind">[];
  readonly stepTimeout: number | undefined;
  readonly debug: boolean;
  readonly variables: StepVariables;
  readonly basesDirectory: string;
  /** In that directory, what kept builds stand on. */
  readonly keptLayers: KeptEnvironment["diffIds"];
  /** What the source directory may hold without its being source; the export of this build comes on top. */
  readonly own: Omit<OwnFiles, "architectures">;
  readonly tell: Tell;
  readonly signal: AbortSignal;
  /** Refuses, before a base is opened, what can be refused by then. */
  readonly beforeEnvironment: (subject: Subject) => Promise<ReadyBuild>;
}

export interface ReadyBuild {
  readonly engine: Engine;
  /** The export that was asked for. */
  readonly ready: ReadyExport | undefined;
}

export interface PreparedBuild extends ReadyBuild {
  /** As {@link KeptEnvironment} has it. */
  readonly base: string;
  readonly plan: Plan;
  readonly environments: Readonly<Record<string, Environment>>;
}

const hostArchitectures: Readonly<Partial<Record<NodeJS.Architecture, string>>> = { x64: "x86_64", arm64: "aarch64" };

/** From flags to something that can run; `skipped`: why there is nothing to build, which is no error. */
export async function prepareBuild(options: PrepareOptions): Promise<PreparedBuild | { readonly skipped: string }> {
  const { tell, signal, variables } = options;
  const teller = { tell, now: () => new Date() };
  refuseHidden(options);
  options.pipelineDirectories.forEach(refuseMissing);
  const compiled = await readRecipe(options.recipe, {
    arch: options.arch ?? hostArchitectures[process.arch] ?? process.arch,
    pipelineDirectories: options.pipelineDirectories,
    varsFile: options.varsFile,
    buildOptions: options.buildOptions,
    libc: options.libc,
    environment: variables.plain,
    secretEnv: variables.secrets.names,
    caches: options.caches,
    debug: options.debug,
    sourceDateEpoch: epochOf(process.env.SOURCE_DATE_EPOCH),
    ...(options.stepTimeout === undefined ? {} : { stepTimeout: options.stepTimeout }),
    ...(options.cacheDirectory === undefined ? {} : { cacheDirectory: await existing(options.cacheDirectory) }),
  });
  for (const { message, location, hint } of compiled.warnings) {
    const where = location ? `${formatLocation(location)}: ` : "";
    tell({ type: "notice", level: "warning", message: where + message, ...(hint ? { hint } : {}) });
  }
  if (compiled.kind === "skipped") {
    tell({ type: "notice", level: "warning", message: `nothing to build: ${compiled.reason}` });
    return { skipped: compiled.reason };
  }
  const { plan } = compiled;
  refuseSpelledOut(variables.secrets, plan);
  refuseTooLarge(plan, variables.secrets);
  const { name, arch } = plan.subject;
  const { engine, ready } = await options.beforeEnvironment(plan.subject);
  const sourceDateEpoch = epochOf(process.env.SOURCE_DATE_EPOCH);
  const cacheDirectory = options.basesDirectory;
  const base = await task(teller, "open base", "open base", (onProgress) =>
    baseEnvironment(options.base, {
      platform: platformOf(arch),
      basesDirectory: cacheDirectory,
      env: process.env,
      signal,
      onProgress,
    }),
  );
  const leaveOut = await ownFiles({
    ...options.own,
    architectures: [...new Set([arch, ...Object.keys(ociArchitectures)])],
    exports: [...options.own.exports, ...(ready ? [ready.prepared.destination] : [])],
  });
  // Looking layers up marks them as recently used, so that the budget of bases spares them.
  await composedLayers(options.keptLayers, { cacheDirectory });
  const environments: Record<string, Environment> = {};
  for (const key of plan.environments) {
    const request = requestOf(compiled.environments, key);
    const composed = await task(teller, `compose ${key}`, "compose environment", (onProgress) =>
      composeEnvironment({
        base,
        request,
        workspace: {
          path: plan.workspace,
          sourceDirectory: sourceDirectoryOf(options.recipe, name, options.sourceDirectory),
          leaveOut: options.base === undefined ? leaveOut : [...leaveOut, resolve(options.base)],
        },
        sourceDateEpoch,
        cacheDirectory,
        signal,
        onProgress,
      }),
    );
    environments[key] = composed.environment;
    tellMissing(composed.missingPackages, tell);
  }
  return { plan, environments, base: keptBase(options.base), engine, ready };
}

function refuseHidden({ caches, cacheDirectory }: PrepareOptions): void {
  const taken = cacheDirectory === undefined ? undefined : caches.find(({ target }) => target === "/var/cache/melange");
  if (taken === undefined) return;
  throw new MelangeError("usage", `--cache-mount ${taken.source}:${taken.target} is where --cache-dir is seen`, {
    hint: "Leave one of them out.",
  });
}

/** A folder that is not there would be searched in vain, and the built-in pipeline of the same name taken instead. */
function refuseMissing(pipelineDirectory: string): void {
  if (isFolder(pipelineDirectory)) return;
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

function keptBase(base = ""): string {
  return existsSync(base) ? resolve(base) : base;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** melange's own defaults, from the specific to the general: the folder named like the package beside the recipe, else the recipe's. */
function sourceDirectoryOf(recipe: string, name: string, given: string | undefined): string {
  const beside = resolve(dirname(recipe), name);
  return resolve(given ?? (isFolder(beside) ? beside : dirname(recipe)));
}

const ociArchitectures: Readonly<Record<string, Platform>> = {
  x86_64: { os: "linux", architecture: "amd64" },
  aarch64: { os: "linux", architecture: "arm64" },
  x86: { os: "linux", architecture: "386" },
  armhf: { os: "linux", architecture: "arm", variant: "v6" },
  armv7: { os: "linux", architecture: "arm", variant: "v7" },
  loongarch64: { os: "linux", architecture: "loong64" },
};

function platformOf(arch: string): Platform {
  return ociArchitectures[arch] ?? { os: "linux", architecture: arch };
}

function epochOf(text: string | undefined): number {
  const epoch = Number(text ?? 0);
  if (Number.isSafeInteger(epoch) && epoch >= 0) return epoch;
  throw new MelangeError("usage", `SOURCE_DATE_EPOCH="${text}" is not a number of seconds`, {
    hint: "Give whole seconds since 1970, or unset it.",
  });
}

function tellMissing(missing: MissingPackages, tell: Tell): void {
  if (missing.atoms.length === 0) return;
  const message = `the base lacks packages that the recipe asks for: ${missing.atoms.join(", ")}`;
  tell({ type: "notice", level: "warning", message, hint: missing.note });
}

/** Shows work that may take more than a second as a task. */
function task<T>(
  teller: TaskTeller,
  id: string,
  label: string,
  work: (onProgress: OnProgress) => Promise<T>,
): Promise<T> {
  return runTask(teller, { id, label }, (onProgress) => work(({ done, total }) => onProgress(done, total)));
}

function requestOf<T>(requests: Readonly<Record<string, T>>, name: string): T {
  const request = requests[name];
  if (request === undefined) throw new TypeError(`the recipe asks nothing of the plan's environment "${name}"`);
  return request;
}
