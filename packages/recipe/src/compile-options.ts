import type { CacheMount, StringMap } from "@melange2/core";
import type { EnvironmentAdditions } from "./environment-request.ts";
import type { PipelineSource } from "./pipeline-definitions.ts";

export interface CompileOptions {
  /** How messages and plan call the recipe: a path. */
  readonly file: string;
  readonly text: string;
  /** apk or OCI name: `x86_64`, `arm64`. */
  readonly arch: string;
  /** Where `uses` finds its pipelines. */
  readonly pipelines: PipelineSource;
  /** Values for `vars`, over the recipe's own: what a file of variables says. */
  readonly variables?: StringMap;
  /** Variables of the environment, from env files; the recipe's own win. No secrets: these are recorded. */
  readonly environment?: StringMap;
  /** Names of secrets for the environment of every step. */
  readonly secretEnv?: readonly string[];
  /** Packages, repositories and keys for the environments, beside the recipe's. */
  readonly additions?: Partial<EnvironmentAdditions>;
  /** The options of the recipe's `options` to build with. Unknown names are melange's to ignore, and ours to warn about. */
  readonly buildOptions?: readonly string[];
  /** What `${{host.triplet.*}}` says about the C library. Default gnu. */
  readonly libc?: "gnu" | "musl";
  /** Seconds since 1970, SOURCE_DATE_EPOCH of the build's steps. Default 0. */
  readonly sourceDateEpoch?: number;
  /** A directory of the host, absolute, that steps see at /var/cache/melange. */
  readonly cacheDirectory?: string;
  /** Caches that the engine keeps, by their names, and where steps see them. */
  readonly caches?: readonly Omit<CacheMount, "kind">[];
  /** Seconds that one step may take. The recipe's own timeout holds where it is shorter. */
  readonly stepTimeout?: number;
  /** Steps show each command before they run it. */
  readonly debug?: boolean;
}
