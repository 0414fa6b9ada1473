import { type CaptureStrategy, type EngineFactory, type Exporter, MelangeError } from "@melange2/core";
import type { Parts } from "./host.ts";

/** Parts that are at hand, by name. */
export interface GivenParts {
  readonly engines: Readonly<Record<string, EngineFactory>>;
  readonly exporters?: readonly Exporter[];
  readonly captures?: readonly CaptureStrategy[];
}

export function partsOf({ engines, exporters = [], captures = [] }: GivenParts): Parts {
  const named = <T extends { readonly name: string }>(kind: string, all: readonly T[], name: string): T => {
    const found = all.find((each) => each.name === name);
    if (found) return found;
    throw unknown(
      kind,
      name,
      all.map((each) => each.name),
    );
  };
  return {
    async engine(name) {
      const found = engines[name];
      if (found) return found;
      throw unknown("engine", name, Object.keys(engines));
    },
    exporter: async (name) => ({ exporter: named("exporter", exporters, name) }),
    capture: async (name) => named("capture strategy", captures, name),
  };
}

function unknown(kind: string, name: string, known: readonly string[]): MelangeError {
  return new MelangeError("usage", `there is no ${kind} "${name}"`, {
    hint: known.length > 0 ? `There are: ${known.join(", ")}.` : "None was given.",
  });
}
