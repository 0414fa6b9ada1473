import {
  type CaptureStrategy,
  type ExportContext,
  type Exporter,
  exportContext,
  isMelangeError,
  MelangeError,
  type PreparedExport,
  type Subject,
  type Tell,
} from "@melange2/core";
import { type GivenOption, optionsFromEnvironment, readOptions } from "@melange2/plugin-host";
import type { BuildHost } from "../host.ts";
import { installed } from "../programs.ts";
import { preflight } from "./preflight.ts";

/** What a user asks for, before anything is loaded. */
export interface ExportRequest {
  /** The exporter's name. */
  readonly type: string;
  /** The capture strategy's name. */
  readonly capture: string;
  /** What these leave open comes from the environment: `MELANGE2_EXPORT_NAME`. */
  readonly options: readonly GivenOption[];
  /** Export in spite of secrets that are found. */
  readonly allowSecrets: boolean;
  /** What the check of the destination finds is an error. */
  readonly strict: boolean;
  /** How an option is called where it is refused. Default: `--export-opt NAME`. */
  readonly optionName?: ((name: string) => string) | undefined;
}

export interface ReadyExport {
  readonly request: ExportRequest;
  readonly exporter: Exporter;
  /** As the exporter read them, those of the environment among them. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly prepared: PreparedExport;
  readonly strategy: CaptureStrategy;
}

/**
 * Loads the exporter and the strategy, has the options checked and the destination looked at: everything that can be refused without
 * running a step. Rejects with `usage` or `plugin`.
 */
export async function readyExport(
  host: BuildHost,
  request: ExportRequest,
  subject: Subject,
  { tell, signal }: { readonly tell: Tell; readonly signal: AbortSignal },
): Promise<ReadyExport> {
  const { exporter, from } = await host.parts.exporter(request.type);
  const strategy = await host.parts.capture(request.capture);
  const owner = { kind: "exporter", name: exporter.name, options: exporter.options } as const;
  const given = [...request.options, ...optionsFromEnvironment(owner, request.options, host.env)];
  const options = readOptions(owner, given, request.optionName ?? ((name) => `--export-opt ${name}`));
  if (options.path === "-" && "unusable" in host.output)
    throw new MelangeError("usage", `--export-path=- cannot be: ${host.output.unusable}`, { hint: host.output.hint });
  const prepared = await exporter
    .prepare(options, contextOf(host, subject))
    .catch(refuseBroken(from ? `exporter "${exporter.name}" of ${from}` : `exporter "${exporter.name}"`));
  await preflight(prepared, { strict: request.strict, tell, signal });
  return { request, exporter, options, prepared, strategy };
}

/** What asks for the same export again, without values that may hold a credential: it ends up in the logs of CI. Plain data. */
export interface ExportAgain {
  readonly type: string;
  readonly capture: string;
  readonly options: readonly { readonly name: string; readonly value: string | true }[];
  readonly allowSecrets: boolean;
}

export function exportAgain({ request, exporter, options }: ReadyExport): ExportAgain {
  return {
    type: request.type,
    capture: request.capture,
    allowSecrets: request.allowSecrets,
    options: request.options.map(({ name, value }) => {
      if (options[name] === true) return { name, value: true };
      return { name, value: exporter.options[name]?.sensitive ? "" : value };
    }),
  };
}

/** An exporter that breaks is its authors' concern, and no fault of melange2. */
const refuseBroken =
  (who: string) =>
  (error: unknown): never => {
    if (isMelangeError(error)) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new MelangeError("plugin", `${who} broke: ${why}`, {
      hint: "Report this to its authors, or choose another --export-type.",
      cause: error,
    });
  };

/** What an exporter is prepared with for a build of this subject. */
export function contextOf({ env, directory, output }: BuildHost, { name, version, arch }: Subject): ExportContext {
  return exportContext({
    package: name,
    version,
    arch,
    cwd: directory,
    env,
    runtimes: installed(["docker", "podman"], env),
    // Nobody gets this far who exports to a standard output that cannot be used.
    stdout: "unusable" in output ? { write: async () => {}, close: async () => {} } : output,
  });
}
