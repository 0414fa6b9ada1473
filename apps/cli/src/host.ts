import { type BuildHost, type Parts, writeChunk } from "@melange2/build";
import { type Contributions, findContribution, loadCapture, loadEngine, loadExporter } from "@melange2/plugin-host";
import { locations } from "./locations.ts";

export interface HostOptions {
  readonly contributions: Contributions;
  readonly toolVersion: string;
  /** Standard output is to hold one JSON document. */
  readonly json: boolean;
  readonly signal: AbortSignal;
}

/** This process's surroundings, for the library. */
export function buildHost({ contributions, toolVersion, json, signal }: HostOptions): BuildHost {
  return {
    places: locations(process.env),
    parts: partsOf(contributions),
    env: process.env,
    directory: process.cwd(),
    output: json
      ? { unusable: "--json goes to standard output too", hint: "Give --export-path a file." }
      : process.stdout.isTTY
        ? { unusable: "standard output is a terminal", hint: "Redirect it, or name a file." }
        : { write: (chunk) => writeChunk(process.stdout, chunk, signal), close: async () => {} },
    toolVersion,
  };
}

/** Imports what a plugin brings when it is used. */
function partsOf(contributions: Contributions): Parts {
  return {
    engine: async (name) => loadEngine(findContribution(contributions, "engines", name)),
    async exporter(name) {
      const contribution = findContribution(contributions, "exporters", name);
      const { plugin } = contribution;
      return { exporter: await loadExporter(contribution), from: `${plugin.name} ${plugin.version}` };
    },
    capture: async (name) => loadCapture(findContribution(contributions, "captures", name)),
  };
}
