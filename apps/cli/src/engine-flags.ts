import type { EngineRequest } from "@melange2/build";
import { MelangeError, type OptionSpec } from "@melange2/core";
import { type GivenOption, optionVariables } from "@melange2/plugin-host";
import { Flags } from "@oclif/core";
import { defaults, flaggedEngines, helpTexts } from "./defaults.ts";
import { repeatable } from "./flags.ts";
import { otherOptions } from "./other-options.ts";

const helpGroup = "ENGINE";

const flagged = flaggedEngines.flatMap(({ engine, options }) =>
  Object.entries(options).map(([name, spec]) => ({ engine, name, spec })),
);

/** The flags that say where steps run: those of every engine, and one for each option of an engine that comes with the CLI. */
export const engineFlags = {
  engine: Flags.string({
    description: helpTexts.engine,
    default: defaults.engine,
    env: "MELANGE2_ENGINE",
    helpGroup,
  }),
  "engine-opt": Flags.string({
    description: "An option of the engine, KEY=VALUE; may be repeated [env: MELANGE2_ENGINE_OPT, one a line]",
    ...repeatable,
    helpGroup,
  }),
  ...Object.fromEntries(flagged.map(({ name, spec }) => [name, flagOf(name, spec)])),
};

// The variables are read by the engine's schema, not by oclif: a variable for one engine must not be an error with another.
function flagOf(name: string, spec: OptionSpec) {
  const description = `${spec.description} [env: ${optionVariables("engine", name, spec).join(", ")}]`;
  if (spec.type === "boolean") return Flags.boolean({ description, helpGroup });
  if (spec.type === "list") return Flags.string({ description, helpGroup, ...repeatable });
  return Flags.string({ description, helpGroup });
}

/** How a person gives an option: `--NAME` where it has a flag, else `--engine-opt NAME`. */
export function engineOptionFlag(name: string): string {
  return flagged.some((option) => option.name === name) ? `--${name}` : `--engine-opt ${name}`;
}

/** What the command line says of the engine, and the flags that are for another one. */
export interface AskedEngine {
  readonly request: EngineRequest;
  /** `--NAME` of each. */
  readonly idle: readonly string[];
}

/**
 * Throws code `usage` where there are flags for another engine and the engine is only the default: whoever gives an address of one
 * engine and names none means that one.
 * @param flags All flags of the command, by name.
 * @param named Whether the user named the engine.
 */
export function askedEngine(
  flags: Readonly<Record<string, unknown>>,
  named: boolean,
  env: NodeJS.ProcessEnv,
): AskedEngine {
  const engine = String(flags.engine);
  const given = flagged.filter(({ name }) => flags[name] !== undefined);
  const idle = given.filter((option) => option.engine !== engine);
  const [stranger] = idle;
  if (stranger !== undefined && !named) {
    throw new MelangeError("usage", `--${stranger.name} is not for the engine "${engine}"`, {
      hint: `Add --engine ${stranger.engine}, or leave it out.`,
    });
  }
  const own = given
    .filter((option) => option.engine === engine)
    .flatMap(({ name }) =>
      [flags[name]].flat().map((value): GivenOption => ({ name, value: String(value), source: `--${name}` })),
    );
  const others = otherOptions("engine", own, flags["engine-opt"] as string[] | undefined, env);
  return {
    request: { name: engine, options: [...own, ...others], optionName: engineOptionFlag },
    idle: idle.map(({ name }) => `--${name}`),
  };
}
