import type { CaptureStrategy } from "./capture.ts";
import type { Engine } from "./engine.ts";
import type { Exporter } from "./exporter.ts";
import type { OptionSchema, Options } from "./option.ts";

/**
 * The static `melange2` key of a plugin's package.json. Values are module paths inside the package, `./dist/index.js`;
 * the module's default export is the contribution (for an engine: an {@link EngineFactory}).
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

/** What an engine is created with. `O`: its options, by the names in its schema. */
export interface EngineContext<O = Readonly<Record<string, unknown>>> {
  /** Absolute; created by the engine, private to the user. */
  readonly stateDirectory: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** As the schema says: defaults filled in, unknown names and wrong values refused before. */
  readonly options: O;
}

/** Makes an engine, and says what it can be told. */
export interface EngineFactory<S extends OptionSchema = OptionSchema> {
  readonly name: string;
  readonly contract: 1;
  readonly summary: string;
  readonly options: S;
  /** Opens and changes nothing. Throws code `usage` where the options do not go together. */
  create(context: EngineContext<Options<S>>): Engine;
}
export type EngineModule = { readonly default: EngineFactory };

/** Ties an engine's options to its schema; returns the factory as it is. */
export function defineEngine<const S extends OptionSchema>(factory: EngineFactory<S>): EngineFactory<S> {
  return factory;
}
