import { MelangeError } from "@melange2/core";
import type { GivenOption, OptionOwner } from "@melange2/plugin-host";

const words = {
  exporter: { flag: "--export-opt", variable: "MELANGE2_EXPORT_OPT" },
  engine: { flag: "--engine-opt", variable: "MELANGE2_ENGINE_OPT" },
} as const;

/**
 * The options that have no flag of their own. The variable, one `KEY=VALUE` a line, counts where its flag is not given, and gives
 * what no flag of its own gives. Throws code `usage`.
 */
export function otherOptions(
  kind: OptionOwner["kind"],
  named: readonly GivenOption[],
  pairs: readonly string[] | undefined,
  env: NodeJS.ProcessEnv,
): readonly GivenOption[] {
  const { flag, variable } = words[kind];
  if (pairs) return pairs.map((pair) => readPair(kind, flag, pair));
  const lines = env[variable]?.split("\n").filter((line) => line !== "") ?? [];
  return lines
    .map((line) => readPair(kind, variable, line))
    .filter((option) => !named.some(({ name }) => name === option.name));
}

function readPair(kind: OptionOwner["kind"], source: string, text: string): GivenOption {
  const [name = "", ...value] = text.split("=");
  if (name !== "" && value.length > 0) return { name, value: value.join("="), source: `${source} ${name}` };
  throw new MelangeError("usage", `${source} ${text}: it has to be KEY=VALUE`, {
    hint: `melange2 ${kind}s show NAME lists the options of an ${kind}.`,
  });
}
