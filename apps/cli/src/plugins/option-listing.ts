import type { OptionSchema, OptionSpec } from "@melange2/core";
import { type OptionOwner, optionVariable } from "@melange2/plugin-host";
import { engineOptionFlag } from "../engine-flags.ts";
import { optionFlag } from "../flags.ts";

/** One option of an exporter or an engine, as a person gives it. */
export interface ListedOption {
  readonly name: string;
  /** `--export-path`, `--export-opt command`. */
  readonly flag: string;
  /** The environment variable that gives it too. */
  readonly env?: string;
  /** The variable of other programs that gives it where neither flag nor `env` does. */
  readonly otherEnv?: string;
  readonly type: OptionSpec["type"];
  readonly values?: readonly string[];
  readonly pattern?: string;
  readonly required: boolean;
  readonly default?: OptionSpec["default"];
  readonly description: string;
}

export function listOptions(kind: OptionOwner["kind"], schema: OptionSchema): readonly ListedOption[] {
  return Object.entries(schema).map(([name, spec]) => {
    const env = optionVariable(kind, name);
    return {
      name,
      flag: kind === "exporter" ? optionFlag(name) : engineOptionFlag(name),
      ...(env === undefined ? {} : { env }),
      ...(spec.env === undefined ? {} : { otherEnv: spec.env }),
      type: spec.type,
      ...(spec.type === "enum" ? { values: spec.values } : {}),
      ...(spec.type === "string" && spec.pattern !== undefined ? { pattern: spec.pattern } : {}),
      required: spec.required ?? false,
      ...(spec.default === undefined ? {} : { default: spec.default }),
      description: spec.description,
    };
  });
}
