import { type CaptureStrategy, type ExportContext, exportContext, type PreparedExport } from "@melange2/core";
import {
  type Contributions,
  findContribution,
  type GivenOption,
  loadCapture,
  loadExporter,
  readOptions,
} from "@melange2/plugin-host";
import { installed } from "../locations.ts";

/** What the user asked for, before anything is loaded. */
export interface ExportRequest {
  readonly type: string;
  readonly capture: string;
  readonly options: readonly GivenOption[];
  readonly allowSecrets: boolean;
}

export interface ReadyExport {
  readonly exporter: string;
  readonly prepared: PreparedExport;
  readonly strategy: CaptureStrategy;
  readonly allowSecrets: boolean;
}

export interface ExportSubject {
  readonly package: string;
  readonly version: string;
  readonly arch: string;
}

/** Loads the exporter and the strategy and has the options checked: everything that can be refused without running a step. */
export async function readyExport(
  contributions: Contributions,
  request: ExportRequest,
  subject: ExportSubject,
): Promise<ReadyExport> {
  const exporter = await loadExporter(findContribution(contributions, "exporters", request.type));
  const strategy = await loadCapture(findContribution(contributions, "captures", request.capture));
  const options = readOptions(exporter, request.options);
  const prepared = await exporter.prepare(options, contextOf(subject));
  return { exporter: exporter.name, prepared, strategy, allowSecrets: request.allowSecrets };
}

function contextOf(subject: ExportSubject): ExportContext {
  return exportContext({
    ...subject,
    cwd: process.cwd(),
    env: process.env,
    runtimes: installed(["docker", "podman"], process.env),
    stdout: {
      write: (chunk) =>
        new Promise((resolve, reject) => process.stdout.write(chunk, (error) => (error ? reject(error) : resolve()))),
      close: async () => {},
    },
  });
}
