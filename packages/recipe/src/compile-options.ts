import type { StringMap } from "@melange2/core";
import type { EnvironmentAdditions } from "./environment-request.ts";
import type { PipelineSource } from "./pipeline-definitions.ts";

/** What a parsed recipe is compiled for. */
export interface CompileOptions {
  /** apk or OCI name: `x86_64`, `arm64`. */
  readonly arch: string;
  /** Where `uses` finds its pipelines. */
  readonly pipelines: PipelineSource;
  /** The options of the recipe's `options` to build with. Unknown names are melange's to ignore, and ours to warn about. */
  readonly buildOptions?: readonly string[];
  /** What `${{host.triplet.*}}` says about the C library. Default gnu. */
  readonly libc?: "gnu" | "musl";
  /** Variables of the environment, from env files; the recipe's own win. No secrets: these are recorded. */
  readonly environment?: StringMap;
  /** Packages, repositories and keys for the environments, beside the recipe's. */
  readonly additions?: Partial<EnvironmentAdditions>;
}
