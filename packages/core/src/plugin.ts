import type { CaptureStrategy } from "./capture.ts";
import type { Engine } from "./engine.ts";
import type { Exporter } from "./exporter.ts";

/**
 * The static `melange2` key of a plugin's package.json. Values are module paths inside the package, `./dist/index.js`;
 * the module's default export is the contribution (for an engine: a factory).
 */
export interface PluginManifest {
  readonly contract: 1;
  readonly exporters?: Readonly<Record<string, string>>;
  readonly captures?: Readonly<Record<string, string>>;
  readonly engines?: Readonly<Record<string, string>>;
}

/** The default export of an exporter module. */
export type ExporterModule = { readonly default: Exporter };
export type CaptureModule = { readonly default: CaptureStrategy };

/** What an engine is created with: its own options as strings, by flag name, and where it may keep its data. */
export interface EngineContext {
  /** Absolute; created by the engine, private to the user. */
  readonly stateDirectory: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly options: Readonly<Record<string, string | undefined>>;
}
export type EngineFactory = (context: EngineContext) => Engine;
export type EngineModule = { readonly default: EngineFactory };
