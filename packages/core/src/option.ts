/** One option of an exporter or an engine, as data: flag, help, environment variable and refusal derive from it. */
export type OptionSpec =
  | (OptionCommon & {
      readonly type: "string";
      readonly default?: string;
      /** A regular expression with flag `u`; a value in which it finds nothing is refused. */
      readonly pattern?: string;
      /** The value is a path of this machine; an engine gets it as an absolute one. */
      readonly path?: boolean;
    })
  | (OptionCommon & { readonly type: "enum"; readonly values: readonly string[]; readonly default?: string })
  | (OptionCommon & { readonly type: "boolean"; readonly default?: boolean })
  | (OptionCommon & { readonly type: "list"; readonly default?: readonly string[] });

interface OptionCommon {
  readonly description: string;
  readonly required?: boolean;
  /** Its value may hold a credential: messages, and commands that are printed, name the option without it. */
  readonly sensitive?: boolean;
  /** A variable that other programs read for the same purpose (`BUILDKIT_HOST`). melange2's own variable goes before it. */
  readonly env?: string;
}

/** Keys are the options' names, `[a-z][a-z0-9-]*`; the CLI shows an exporter's `path` as `--export-path`. */
export type OptionSchema = Readonly<Record<string, OptionSpec>>;

type OptionValue<S extends OptionSpec> = S extends { type: "boolean" }
  ? boolean
  : S extends { type: "list" }
    ? readonly string[]
    : S extends { type: "enum"; values: readonly (infer V)[] }
      ? V
      : string;

/** The values that an exporter or an engine gets: required and defaulted options are always there; one of an enum is one of its words. */
export type Options<S extends OptionSchema> = {
  readonly [K in keyof S]: S[K] extends { required: true } | { default: string | boolean | readonly string[] }
    ? OptionValue<S[K]>
    : OptionValue<S[K]> | undefined;
};
