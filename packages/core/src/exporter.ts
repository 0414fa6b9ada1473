import type { ByteSink } from "./bytes.ts";
import type { ArchiveRequest } from "./deliver-archive.ts";
import type { ErrorDetails, MelangeError } from "./error.ts";
import type { Finding } from "./finding.ts";
import type { DebugImage, Delivered } from "./image.ts";

/** One option of an exporter, as data: flag, help, environment variable and refusal derive from it. */
export type OptionSpec =
  | (OptionCommon & { readonly type: "string"; readonly default?: string; readonly pattern?: string })
  | (OptionCommon & { readonly type: "enum"; readonly values: readonly string[]; readonly default?: string })
  | (OptionCommon & { readonly type: "boolean"; readonly default?: boolean })
  | (OptionCommon & { readonly type: "list"; readonly default?: readonly string[] });

interface OptionCommon {
  readonly description: string;
  readonly required?: boolean;
  /** Its value may hold a credential: messages, and commands that are printed, name the option without it. */
  readonly sensitive?: boolean;
}

/** Keys are the options' names, `[a-z][a-z0-9-]*`; the CLI shows `path` as `--export-path`. */
export type OptionSchema = Readonly<Record<string, OptionSpec>>;

type OptionValue<S extends OptionSpec> = S extends { type: "boolean" }
  ? boolean
  : S extends { type: "list" }
    ? readonly string[]
    : string;

/** The values an exporter is prepared with: required and defaulted options are always there. */
export type Options<S extends OptionSchema> = {
  readonly [K in keyof S]: S[K] extends { required: true } | { default: string | boolean | readonly string[] }
    ? OptionValue<S[K]>
    : OptionValue<S[K]> | undefined;
};

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
