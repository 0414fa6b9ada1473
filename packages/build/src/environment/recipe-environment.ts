import { writeFile } from "node:fs/promises";
import {
  type Environment,
  type ImageSpec,
  MelangeError,
  noSecrets,
  runTask,
  type Subject,
  type Tell,
} from "@melange2/core";
import { composeEnvironment } from "@melange2/environment";
import {
  compileRecipe,
  type EnvironmentAdditions,
  parseRecipeFile,
  pipelineDirectories,
  planBuild,
  planTests,
} from "@melange2/recipe";
import type { EngineChoice } from "../engine/choose-engine.ts";
import { checkedEngine, openSession } from "../engine/open-engine.ts";
import type { ReadyExport } from "../export/ready-export.ts";
import type { BuildHost } from "../host.ts";
import { hostArchitecture, sourceDateEpochOf } from "../recipe/compile-build.ts";
import type { CompileFileOptions } from "../recipe/read-only.ts";
import { environmentStarts, refuseNothing } from "./compose-build.ts";
import type { EnvironmentPackage, PackageOptions } from "./packages-environment.ts";

// A recipe's environment by itself: composed, listed, locked, exported or entered, without a build.

export interface RecipeEnvironmentOptions extends CompileFileOptions {
  readonly recipe: string;
  /** The package whose test's environment is meant; undefined: that of the build. */
  readonly test?: string | undefined;
  readonly additions?: EnvironmentAdditions;
  readonly base?: string | undefined;
  readonly packages?: PackageOptions;
  /** A file that gets the exact packages. */
  readonly writeLock?: string | undefined;
  readonly tell: Tell;
  readonly signal: AbortSignal;
}

export interface RecipeEnvironment {
  readonly subject: Subject;
  readonly environment: Environment;
  /** In the order of installation; empty where nothing was installed on the base. */
  readonly packages: readonly EnvironmentPackage[];
  readonly user: { readonly uid: number; readonly gid: number };
  readonly workspace: string;
  /** The variables that steps would have. */
  readonly variables: Readonly<Record<string, string>>;
}

/** Rejects with `recipe`, `usage` or `environment`. */
export async function recipeEnvironment(
  options: RecipeEnvironmentOptions,
  host: BuildHost,
): Promise<RecipeEnvironment> {
  const { tell, signal } = options;
  const arch = options.arch ?? hostArchitecture();
  const parsed = await parseRecipeFile(options.recipe, { varsFile: options.varsFile });
  const compiled = await compileRecipe(parsed, {
    arch,
    pipelines: pipelineDirectories(options.pipelineDirectories ?? []),
    buildOptions: options.buildOptions ?? [],
    ...(options.libc === undefined ? {} : { libc: options.libc }),
    ...(options.additions === undefined ? {} : { additions: options.additions }),
  });
  if (compiled.kind === "skipped")
    throw new MelangeError("usage", `there is no environment: ${compiled.reason}`, { hint: "Give another --arch." });
  const { plan, environments } = options.test === undefined ? planBuild(compiled) : planTests(compiled);
  const name = options.test === undefined ? plan.environments[0] : `test:${options.test}`;
  const request = environments[name ?? ""];
  if (name === undefined || request === undefined) throw noTest(options.test ?? "", Object.keys(environments));
  refuseNothing(options.base, request);
  const start = await (await environmentStarts(options, host, compiled.arch))(name, request);
  if (options.writeLock !== undefined) {
    if (!start.lock)
      throw new MelangeError("usage", "nothing is installed on this base, so that there is nothing to lock", {
        hint: "Leave out --lock-file.",
      });
    await writeFile(options.writeLock, `${JSON.stringify(start.lock, undefined, 2)}\n`);
  }
  const composed = await runTask(
    { tell, now: () => new Date() },
    { id: `compose ${name}`, label: "compose environment" },
    () =>
      composeEnvironment({
        base: start.environment,
        request,
        workspace: { path: plan.workspace },
        sourceDateEpoch: sourceDateEpochOf(host.env),
        cacheDirectory: host.places.bases,
        signal,
      }),
  );
  return {
    subject: plan.subject,
    environment: composed.environment,
    packages: start.packages ?? [],
    user: composed.user,
    workspace: plan.workspace,
    variables: request.variables,
  };
}

export interface UseEnvironmentOptions {
  readonly made: RecipeEnvironment;
  readonly engine: EngineChoice;
  readonly network: boolean;
  readonly tell: Tell;
  readonly signal: AbortSignal;
}

/** Exports the environment as an image, as a failed build's state is exported. */
export async function exportEnvironment(options: UseEnvironmentOptions, ready: ReadyExport, host: BuildHost) {
  const { made, tell, signal } = options;
  const teller = { tell, now: () => new Date() };
  const engine = await checkedEngine({ host, engine: options.engine, tell, signal });
  await using session = await openSession(engine, { ...options, secrets: noSecrets });
  const start = await runTask(teller, { id: "load", label: "load environment" }, () =>
    session.load(made.environment, { signal }),
  );
  const image = session.image(start, imageSpec(made, host));
  return await runTask(teller, { id: "export", label: `export to ${ready.prepared.destination}` }, (onProgress) =>
    ready.prepared.export(image, { signal, failure: { build: "environment", step: "environment" }, onProgress }),
  );
}

/** A shell, or another program, in a scratch copy of the environment. Tells how it ended. */
export async function enterEnvironment(
  options: UseEnvironmentOptions,
  program: {
    readonly argv: readonly string[];
    readonly env: Readonly<Record<string, string>>;
    readonly interactive: boolean;
  },
  host: BuildHost,
) {
  const { made, tell, signal } = options;
  const engine = await checkedEngine({ host, engine: options.engine, tell, signal });
  await using session = await openSession(engine, { ...options, secrets: noSecrets });
  if (!session.enter)
    throw new MelangeError("engine", `the engine "${options.engine.name}" cannot open a shell`, {
      hint: "Export the environment and run the image instead.",
    });
  const start = await session.load(made.environment, { signal });
  return await session.enter(start, {
    signal,
    argv: program.argv,
    env: { ...made.variables, PATH: path, ...program.env },
    workdir: made.workspace,
    user: made.user,
    mounts: [],
    files: [],
    secretEnv: [],
    tty: { interactive: program.interactive },
  });
}

const path = "/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin";

function imageSpec({ environment, subject, variables, workspace }: RecipeEnvironment, host: BuildHost): ImageSpec {
  const env = Object.entries({ PATH: path, ...variables }).map(([name, value]) => `${name}=${value}`);
  return {
    config: { ...environment.config, Env: env, WorkingDir: workspace, Cmd: ["/bin/sh"] },
    platform: environment.platform,
    labels: {
      "org.opencontainers.image.title": `the build environment of ${subject.name}`,
      "org.opencontainers.image.version": subject.version,
    },
    annotations: {},
    created: new Date(sourceDateEpochOf(host.env) * 1000).toISOString(),
    history: [],
    files: [],
  };
}

function noTest(test: string, known: readonly string[]): MelangeError {
  const names = known.map((name) => name.replace(/^test:/, ""));
  return new MelangeError("usage", `the package "${test}" has no test`, {
    hint: names.length > 0 ? `Packages with tests: ${names.join(", ")}.` : "No package of the recipe has one.",
  });
}
