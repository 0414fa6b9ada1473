import type { ByteSink } from "./bytes.ts";
import type { ArchiveRequest } from "./deliver-archive.ts";
import type { ErrorDetails, MelangeError } from "./error.ts";
import type { Finding } from "./finding.ts";
import type { DebugImage, Delivered } from "./image.ts";
import type { OptionSchema, Options } from "./option.ts";

/** What an exporter is handed before the build. It needs nothing else of the host, so that a package of its own imports types only. */
export interface ExportContext {
  /** Fills `{package} {version} {arch} {step} {build}` in a text; before the failure `{step}` and `{build}` stay as they are. */
  readonly fill: (template: string, failure?: FailureNames) => string;
  /** Absolute; relative paths are relative to it. */
  readonly cwd: string;
  /** The user's environment variables, for tools that have their own (`DOCKER_HOST`). */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What runs the image on this machine, first choice first: `docker`, `podman`. May be empty. */
  readonly runtimes: readonly string[];
  readonly stdout: ByteSink;
  readonly package: string;
  readonly version: string;
  readonly arch: string;
  /** `NAME:TAG` from an option, placeholders filled as `fill` does, in the alphabet of image names. Throws code `usage`. */
  imageName(template: string, failure?: FailureNames): string;
  /** Has the engine write the image as one archive into a sink. Rejects with `export` or `interrupted`, whatever the engine does. */
  deliverArchive(image: DebugImage, archive: ArchiveRequest, options: ExportOptions): Promise<Delivered>;
  /** The error to reject with: `usage` from `prepare`; `export` or, on an aborted signal, `interrupted` from `export`. */
  error(code: "usage" | "export" | "interrupted", message: string, details: ErrorDetails): MelangeError;
}

export interface FailureNames {
  readonly build: string;
  readonly step: string;
}

export interface ExportOptions {
  readonly signal: AbortSignal;
  readonly failure: FailureNames;
  /** Bytes moved so far and, where known, the total. */
  readonly onProgress: (done: number, total: number | undefined) => void;
}

export interface Receipt extends Delivered {
  /** Where the image is now, as a person would name it: a path, a reference. */
  readonly location: string;
  /** The commands that open it, first the ones that work on this machine; argv each, quoted by whoever prints them. */
  readonly open: readonly (readonly string[])[];
  /** One sentence for people, where there is something to say: where an older image went, what the image contains. */
  readonly note?: string;
}

export interface PreparedExport {
  /** For the plan of the build: "debug image to /tmp/debug.tar if a step fails". */
  readonly destination: string;
  /** Network checks; findings are warnings unless the caller is strict. */
  probe?(options: { signal: AbortSignal }): Promise<readonly Finding[]>;
  /** Delivers, all or nothing: no partial artefact under the final name. Rejects with code `export`. */
  export(image: DebugImage, options: ExportOptions): Promise<Receipt>;
}

/** Delivers debug images to one kind of destination. */
export interface Exporter<S extends OptionSchema = OptionSchema> {
  readonly name: string;
  readonly contract: 1;
  readonly summary: string;
  readonly options: S;
  /** Before the first step: parses, resolves and refuses. No network. Rejects with code `usage`. */
  prepare(options: Options<S>, context: ExportContext): Promise<PreparedExport>;
}

/** Ties an exporter's options to its schema; returns it as it is. */
export function defineExporter<const S extends OptionSchema>(exporter: Exporter<S>): Exporter<S> {
  return exporter;
}
