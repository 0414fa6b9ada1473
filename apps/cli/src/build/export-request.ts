import {
  type CaptureStrategy,
  type ExportContext,
  exportContext,
  isMelangeError,
  MelangeError,
  type OptionSchema,
  type PreparedExport,
  type Subject,
  type Tell,
} from "@melange2/core";
import {
  type Contribution,
  type Contributions,
  findContribution,
  type GivenOption,
  loadCapture,
  loadExporter,
  optionsFromEnvironment,
  readOptions,
} from "@melange2/plugin-host";
import { optionFlag } from "../flags.ts";
import { installed } from "../locations.ts";
import { preflight } from "./preflight.ts";
import { writeChunk } from "./write-chunk.ts";

/** What the user asked for, before anything is loaded. */
export interface ExportRequest {
  readonly type: string;
  readonly capture: string;
  /** Of flags; what they leave open comes from the environment. */
  readonly options: readonly GivenOption[];
  readonly allowSecrets: boolean;
  /** What the check of the destination finds is an error. */
  readonly strict: boolean;
  /** Standard output is to hold one JSON document. */
  readonly json: boolean;
}

export interface ReadyExport {
  readonly exporter: string;
  readonly prepared: PreparedExport;
  readonly strategy: CaptureStrategy;
  readonly allowSecrets: boolean;
  /** The flags that ask for the same again. */
  readonly flags: readonly string[];
}

/**
 * Loads the exporter and the strategy, has the options checked and the destination looked at: everything that can be refused without
 * running a step. Rejects with `usage` or `plugin`.
 */
export async function readyExport(
  contributions: Contributions,
  request: ExportRequest,
  subject: Subject,
  { tell, signal }: { readonly tell: Tell; readonly signal: AbortSignal },
): Promise<ReadyExport> {
  const contribution = findContribution(contributions, "exporters", request.type);
  const exporter = await loadExporter(contribution);
  const strategy = await loadCapture(findContribution(contributions, "captures", request.capture));
  const given = [...request.options, ...optionsFromEnvironment(exporter, request.options, process.env)];
  const options = readOptions(exporter, given, optionFlag);
  if (options.path === "-") refuseTakenStdout(request.json);
  const prepared = await exporter.prepare(options, contextOf(subject, signal)).catch(refuseBroken(contribution));
  await preflight(prepared, { strict: request.strict, tell, signal });
  const { allowSecrets } = request;
  return {
    exporter: exporter.name,
    prepared,
    strategy,
    allowSecrets,
    flags: flagsOf(request, exporter.options, options),
  };
}

/** An exporter that breaks is its authors' concern, and no fault of melange2. */
const refuseBroken =
  ({ name, plugin }: Contribution) =>
  (error: unknown): never => {
    if (isMelangeError(error)) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new MelangeError("plugin", `exporter "${name}" of ${plugin.name} ${plugin.version} broke: ${why}`, {
      hint: "Report this to its authors, or choose another --export-type.",
      cause: error,
    });
  };

/** Without the values that may hold a credential: the flags end up in the logs of CI. */
function flagsOf(
  request: ExportRequest,
  schema: OptionSchema,
  values: ReturnType<typeof readOptions>,
): readonly string[] {
  return [
    `--export-type=${request.type}`,
    ...(request.capture === "current-state" ? [] : [`--capture=${request.capture}`]),
    ...request.options.flatMap(({ name, value }) => {
      const flag = optionFlag(name);
      // This flag takes no value, and switches on.
      if (name === "insecure" && values[name] === true) return [flag];
      const shown = schema[name]?.sensitive ? "" : value;
      const own = name !== "insecure" && !flag.startsWith("--export-opt ");
      return own ? [`${flag}=${shown}`] : ["--export-opt", `${name}=${shown}`];
    }),
    ...(request.allowSecrets ? ["--export-allow-secrets"] : []),
  ];
}

function refuseTakenStdout(json: boolean): void {
  const refusal = (why: string, hint: string) =>
    new MelangeError("usage", `--export-path=- cannot be: ${why}`, { hint });
  if (json) throw refusal("--json goes to standard output too", "Give --export-path a file.");
  if (process.stdout.isTTY) throw refusal("standard output is a terminal", "Redirect it, or name a file.");
}

function contextOf({ name, version, arch }: Subject, signal: AbortSignal): ExportContext {
  return exportContext({
    package: name,
    version,
    arch,
    cwd: process.cwd(),
    env: process.env,
    runtimes: installed(["docker", "podman"], process.env),
    stdout: {
      write: (chunk) => writeChunk(process.stdout, chunk, signal),
      close: async () => {},
    },
  });
}
