import { type Exporter, MelangeError, type OptionSchema, type OptionSpec, type Problem } from "@melange2/core";

/** An option's value as a person gave it, and how: `--export-path`, `MELANGE2_EXPORT_PATH`, `--export-opt path`. */
export interface GivenOption {
  readonly name: string;
  readonly value: string;
  readonly source: string;
}

type Value = string | boolean | readonly string[];

/** Variables of these names say something about every export; an exporter's option of such a name has none. */
const reserved = ["type", "opt", "preflight", "on-failure", "allow-secrets"];

/** The environment variable that gives an option where no flag does: `MELANGE2_EXPORT_PATH`. undefined: it has none. */
export function optionVariable(name: string): string | undefined {
  return reserved.includes(name) ? undefined : `MELANGE2_EXPORT_${name.toUpperCase().replaceAll("-", "_")}`;
}

/**
 * The exporter's options that are not `given` but set in the environment; one item a line for a list. Variables that are empty, and
 * those of other exporters' options, say nothing.
 */
export function optionsFromEnvironment(
  exporter: Pick<Exporter, "options">,
  given: readonly GivenOption[],
  env: Readonly<Record<string, string | undefined>>,
): readonly GivenOption[] {
  return Object.entries(exporter.options).flatMap(([name, spec]): GivenOption[] => {
    const source = optionVariable(name);
    const text = source === undefined ? undefined : env[source];
    if (!source || !text || given.some((option) => option.name === name)) return [];
    const values = spec.type === "list" ? text.split("\n").filter((line) => line !== "") : [text];
    return values.map((value) => ({ name, value, source }));
  });
}

/**
 * The exporter's options from texts, by its schema: defaults filled in, everything else refused, all problems together.
 * Rejects with code `usage`.
 * @param flagOf How a person gives an option that is missing: `--export-path`.
 */
export function readOptions(
  exporter: Pick<Exporter, "name" | "options">,
  given: readonly GivenOption[],
  flagOf: (name: string) => string = (name) => `--export-${name}`,
): Record<string, Value> {
  const schema: OptionSchema = exporter.options;
  const problems: Problem[] = [];
  const values: Record<string, Value> = {};
  for (const [name, spec] of Object.entries(schema)) {
    if (spec.default !== undefined) values[name] = spec.default;
  }
  const lists = new Map<string, string[]>();
  const sources = new Map<string, string>();
  for (const { name, value, source } of given) {
    const spec = Object.hasOwn(schema, name) ? schema[name] : undefined;
    if (!spec) {
      const known = Object.keys(schema).join(", ") || "none";
      problems.push({
        message: `${source}: the exporter "${exporter.name}" has no option "${name}"`,
        hint: `Its options: ${known}`,
      });
      continue;
    }
    const first = sources.get(name) ?? source;
    const again = sources.has(name) && spec.type !== "list";
    sources.set(name, first);
    const read = again ? { problem: `"${name}" has a value already, by ${first}` } : readValue(spec, value);
    if ("problem" in read) {
      problems.push({ message: `${source}: ${read.problem}` });
    } else if (spec.type === "list") {
      const list = [...(lists.get(name) ?? []), value];
      lists.set(name, list);
      values[name] = list;
    } else {
      values[name] = read.value;
    }
  }
  for (const [name, spec] of Object.entries(schema)) {
    if (spec.required && values[name] === undefined) {
      problems.push({ message: `${flagOf(name)} is missing: ${spec.description}` });
    }
  }
  if (problems.length > 0) {
    throw new MelangeError("usage", `the options of the exporter "${exporter.name}" are not right`, {
      hint: `melange2 exporters show ${exporter.name} lists them.`,
      problems,
    });
  }
  return values;
}

function readValue(spec: OptionSpec, value: string): { value: Value } | { problem: string } {
  // A command that was printed, and is tried as it stands.
  if (spec.sensitive && value === "") return { problem: "its value is missing; it is never printed" };
  const shown = spec.sensitive ? "its value" : `"${value}"`;
  switch (spec.type) {
    case "enum":
      return spec.values.includes(value) ? { value } : { problem: `${shown} is none of ${spec.values.join(", ")}` };
    case "boolean":
      if (["true", "1", "yes"].includes(value)) return { value: true };
      if (["false", "0", "no"].includes(value)) return { value: false };
      return { problem: `${shown} is neither true nor false` };
    case "string":
      if (spec.pattern !== undefined && !new RegExp(spec.pattern, "u").test(value)) {
        return { problem: `${shown} does not fit ${spec.pattern}` };
      }
      return { value };
    case "list":
      return { value: [value] };
  }
}
