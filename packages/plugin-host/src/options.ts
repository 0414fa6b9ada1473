import { MelangeError, type OptionSchema, type OptionSpec, type Problem } from "@melange2/core";

/** An option's value as a person gave it, and how: `--export-path`, `MELANGE2_EXPORT_PATH`, `--export-opt path`. */
export interface GivenOption {
  readonly name: string;
  readonly value: string;
  readonly source: string;
}

/** What can be told something: an exporter or an engine. */
export interface OptionOwner {
  readonly kind: "exporter" | "engine";
  readonly name: string;
  readonly options: OptionSchema;
}

type Value = string | boolean | readonly string[];

interface KindWords {
  readonly variable: string;
  /** Variables of these names say something about everything of the kind; an option of such a name has none. */
  readonly reserved: readonly string[];
  readonly flag: string;
}

const words: Readonly<Record<OptionOwner["kind"], KindWords>> = {
  exporter: {
    variable: "MELANGE2_EXPORT_",
    reserved: ["type", "opt", "preflight", "on-failure", "allow-secrets"],
    flag: "--export-",
  },
  engine: { variable: "MELANGE2_ENGINE_", reserved: ["opt"], flag: "--engine-opt " },
};

/** The environment variable that gives an option where no flag does: `MELANGE2_EXPORT_PATH`. undefined: it has none. */
export function optionVariable(kind: OptionOwner["kind"], name: string): string | undefined {
  const { variable, reserved } = words[kind];
  return reserved.includes(name) ? undefined : variable + name.toUpperCase().replaceAll("-", "_");
}

/** All variables that give an option, the first that is set before the others. */
export function optionVariables(kind: OptionOwner["kind"], name: string, { env }: OptionSpec): readonly string[] {
  return [optionVariable(kind, name), env].filter((variable) => variable !== undefined);
}

/**
 * The owner's options that are not `given` but set in the environment; one item a line for a list. Variables that are empty, and
 * those of other owners' options, say nothing.
 */
export function optionsFromEnvironment(
  { kind, options }: Pick<OptionOwner, "kind" | "options">,
  given: readonly GivenOption[],
  env: Readonly<Record<string, string | undefined>>,
): readonly GivenOption[] {
  return Object.entries(options).flatMap(([name, spec]): GivenOption[] => {
    const source = optionVariables(kind, name, spec).find((variable) => env[variable]);
    const text = source === undefined ? undefined : env[source];
    if (!source || !text || given.some((option) => option.name === name)) return [];
    const values = spec.type === "list" ? text.split("\n").filter((line) => line !== "") : [text];
    return values.map((value) => ({ name, value, source }));
  });
}

/**
 * The owner's options from texts, by its schema: defaults filled in, everything else refused, all problems together.
 * Rejects with code `usage`.
 * @param flagOf How a person gives an option that is missing: `--export-path`.
 */
export function readOptions(
  owner: OptionOwner,
  given: readonly GivenOption[],
  flagOf: (name: string) => string = (name) => words[owner.kind].flag + name,
): Record<string, Value> {
  const { kind, options: schema } = owner;
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
        message: `${source}: the ${kind} "${owner.name}" has no option "${name}"`,
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
    throw new MelangeError("usage", `the options of the ${kind} "${owner.name}" are not right`, {
      hint: `melange2 ${kind}s show ${owner.name} lists them.`,
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
