import { join } from "node:path";
import { noSecrets, type Subject, type Tell } from "@melange2/core";
import { failureStore, newBuildId } from "@melange2/records";
import type { EngineChoice } from "./engine/choose-engine.ts";
import { checkedEngine, openSession } from "./engine/open-engine.ts";
import { composeBuild } from "./environment/compose-build.ts";
import type { PackageOptions } from "./environment/packages-environment.ts";
import { type ExportRequest, type ReadyExport, readyExport } from "./export/ready-export.ts";
import type { BuildHost } from "./host.ts";
import { refuseUnwritable } from "./output/writable-folder.ts";
import { type CompileBuildOptions, compileBuild } from "./recipe/compile-build.ts";
import type { BuildReport } from "./run/report.ts";
import { runBuild } from "./run/run-build.ts";

export interface BuildOptions extends CompileBuildOptions {
  /** Names the build. Default: a new one of the current time. */
  readonly id?: string | undefined;
  readonly engine: EngineChoice;
  /** A root filesystem: a path, or an image in a registry. Undefined: the recipe's packages are all there is. */
  readonly base?: string | undefined;
  readonly packages?: PackageOptions;
  readonly sourceDirectory?: string | undefined;
  /** Where the packages' files go, as ARCH/PACKAGE. Absolute. */
  readonly outDirectory: string;
  /** Whether steps have a network. Default: true. */
  readonly network?: boolean;
  /** Whether the state that a failing step leaves is kept. Default: true. */
  readonly capture?: boolean;
  /** What happens when a step fails, besides that the failure is kept. */
  readonly exportOnFailure?: ExportRequest | undefined;
  readonly signal: AbortSignal;
}

export type BuildOutcome = BuildReport | { readonly status: "skipped"; readonly reason: string };

/**
 * A recipe to its end: compiled, its export made ready, its environments composed, then run; when a step fails, its state is kept and, where asked, captured
 * and exported. Everything that can be refused is refused before the first step. `tell` hears what happens; a step that fails is an outcome. Rejects with a
 * `MelangeError`: `recipe`, `usage`, `environment`, `engine`, `plugin`, `interrupted`.
 */
export async function build(options: BuildOptions, host: BuildHost): Promise<BuildOutcome> {
  const { tell, signal, outDirectory } = options;
  const { places } = host;
  await refuseUnwritable(places.state, "melange2's state folder", "Give MELANGE2_STATE_DIR a folder of yours.");
  const store = failureStore(places.builds);
  const { failures } = await store.list();

  const compiled = await compileBuild(options, host);
  if ("skipped" in compiled) return { status: "skipped", reason: compiled.skipped };
  const { plan } = compiled;
  const engine = await checkedEngine({ host, engine: options.engine, tell, signal });
  await refuseUnwritable(
    join(outDirectory, plan.subject.arch),
    "the output folder",
    "Give --out-dir a folder of yours.",
  );
  const ready = await readyFor(options, host, plan.subject, tell);
  const composed = await composeBuild(
    {
      ...options,
      compiled,
      keptLayers: [...new Set(failures.flatMap(({ states }) => states.environment.diffIds))],
      own: {
        folders: [places.state, ...(options.cacheDirectory === undefined ? [] : [options.cacheDirectory])],
        outDirectory,
        exports: [
          ...failures.flatMap((failure) => failure.exports.map(({ location }) => location)),
          ...(ready ? [ready.prepared.destination] : []),
        ],
      },
    },
    host,
  );

  const { secrets } = options.variables ?? { secrets: noSecrets };
  const { network = true, capture = true } = options;
  await using session = await openSession(engine, { secrets, network, capture, tell, signal });
  return await runBuild({
    ...composed,
    id: options.id ?? newBuildId(new Date()),
    plan,
    engine: options.engine,
    session,
    store,
    secrets,
    network,
    toolVersion: host.toolVersion,
    outDirectory,
    ready,
    tell,
    signal,
  });
}

async function readyFor(
  { exportOnFailure, signal }: BuildOptions,
  host: BuildHost,
  subject: Subject,
  tell: Tell,
): Promise<ReadyExport | undefined> {
  if (exportOnFailure === undefined) return undefined;
  const ready = await readyExport(host, exportOnFailure, subject, { tell, signal });
  const message = `if a step fails, its environment goes to ${ready.prepared.destination}`;
  tell({ type: "notice", level: "info", message });
  return ready;
}
