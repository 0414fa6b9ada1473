import type { OptionSchema, OptionSpec } from "@melange2/core";
import { optionVariable } from "@melange2/plugin-host";
import { optionFlag } from "../flags.ts";

/** One option of an exporter, as a person gives it. */
export interface ListedOption {
  readonly name: string;
  /** `--export-path`, `--export-opt command`. */
  readonly flag: string;
  /** The environment variable that gives it too. */
  readonly env?: string;
  readonly type: OptionSpec["type"];
  readonly values?: readonly string[];
  readonly pattern?: string;
  readonly required: boolean;
  readonly default?: OptionSpec["default"];
  readonly description: string;
}

export function listOptions(schema: OptionSchema): readonly ListedOption[] {
  return Object.entries(schema).map(([name, spec]) => {
    const env = optionVariable(name);
    return {
      name,
      flag: optionFlag(name),
      ...(env === undefined ? {} : { env }),
      type: spec.type,
      ...(spec.type === "enum" ? { values: spec.values } : {}),
      ...(spec.type === "string" && spec.pattern !== undefined ? { pattern: spec.pattern } : {}),
      required: spec.required ?? false,
      ...(spec.default === undefined ? {} : { default: spec.default }),
      description: spec.description,
    };
  });
}
