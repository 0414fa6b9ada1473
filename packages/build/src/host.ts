import { join } from "node:path";
import type { ByteSink, CaptureStrategy, EngineFactory, Exporter } from "@melange2/core";

/** Where a caller keeps what builds leave. Absolute paths. */
export interface Places {
  /** Everything that melange2 keeps; the others are usually in it. */
  readonly state: string;
  /** Records of failed builds. */
  readonly builds: string;
  /** Imported bases and composed layers. */
  readonly bases: string;
  /** Indexes and packages of apk repositories. */
  readonly packages: string;
  /** What an engine keeps. */
  engine(name: string): string;
}

/** All places in one folder. */
export function placesIn(state: string): Places {
  return {
    state,
    builds: join(state, "builds"),
    bases: join(state, "bases"),
    packages: join(state, "packages"),
    engine: (name) => join(state, `engine-${name}`),
  };
}

/** Engines, exporters and capture strategies by name. Each rejects with `usage` for a name that it does not have. */
export interface Parts {
  engine(name: string): Promise<EngineFactory>;
  /** `from`: who is to hear of it where the exporter breaks; absent: nobody in particular. */
  exporter(name: string): Promise<{ readonly exporter: Exporter; readonly from?: string }>;
  capture(name: string): Promise<CaptureStrategy>;
}

/** What a build uses of its caller's surroundings; it looks at no environment, folder or stream of the process by itself. */
export interface BuildHost {
  readonly places: Places;
  readonly parts: Parts;
  /** Variables that engines, exporters and registries go by: DOCKER_HOST, DOCKER_CONFIG, HTTP_PROXY, SOURCE_DATE_EPOCH. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What relative paths are relative to. Absolute. */
  readonly directory: string;
  /** Where an archive goes that is exported to `-`; or why it cannot go there, and what to do instead. */
  readonly output: ByteSink | { readonly unusable: string; readonly hint: string };
  /** Goes into records and images. */
  readonly toolVersion: string;
}
