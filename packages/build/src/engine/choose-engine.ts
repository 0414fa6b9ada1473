import { resolve } from "node:path";
import type { Engine, OptionSchema } from "@melange2/core";
import { type GivenOption, optionsFromEnvironment, readOptions } from "@melange2/plugin-host";
import type { BuildHost } from "../host.ts";

/** The engine that was asked for, and what it is told, by the names of its options; kept with a failed build, so that its engine is found again. */
export interface EngineChoice {
  readonly name: string;
  /** As texts, all items of a list; paths are absolute. */
  readonly options: Readonly<Record<string, string | readonly string[]>>;
}

/** What a user asks for, before anything is loaded. */
export interface EngineRequest {
  /** The engine's name. */
  readonly name: string;
  /** What these leave open comes from the environment: `MELANGE2_ENGINE_NAME`, or the variable that the option names. */
  readonly options: readonly GivenOption[];
  /** How an option is called where it is refused. Default: `--engine-opt NAME`. */
  readonly optionName?: ((name: string) => string) | undefined;
}

/** Loads the engine's schema and has its options checked; makes paths absolute. Rejects with `usage` or `plugin`. */
export async function chooseEngine(host: BuildHost, request: EngineRequest): Promise<EngineChoice> {
  const { name, options: schema } = await host.parts.engine(request.name);
  const owner = { kind: "engine", name, options: schema } as const;
  const given = [...request.options, ...optionsFromEnvironment(owner, request.options, host.env)];
  readOptions(owner, given, request.optionName);
  return { name, options: texts(schema, given, host.directory) };
}

/** The engine itself; nothing is opened yet. Rejects with `usage` where its schema refuses what was chosen, or with `plugin`. */
export async function createEngine(host: BuildHost, { name, options: chosen }: EngineChoice): Promise<Engine> {
  const factory = await host.parts.engine(name);
  const given = Object.entries(chosen).flatMap(([option, value]) =>
    [value].flat().map((item): GivenOption => ({ name: option, value: item, source: option })),
  );
  const options = readOptions({ kind: "engine", name, options: factory.options }, given);
  return factory.create({ stateDirectory: host.places.engine(name), env: host.env, options });
}

function texts(schema: OptionSchema, given: readonly GivenOption[], directory: string): EngineChoice["options"] {
  const values: Record<string, string | readonly string[]> = {};
  for (const { name, value } of given) {
    const spec = schema[name];
    if (spec?.type === "list") values[name] = [...(values[name] ?? []), value];
    else values[name] = spec?.type === "string" && spec.path ? resolve(directory, value) : value;
  }
  return values;
}
