import { join } from "node:path";
import { removeTree } from "@melange2-tooling/machine";
import { onlyInFullRuns } from "./missing.ts";
import type { Provision, Started } from "./provision.ts";
import { type ProvisionName, provisions } from "./provisions.ts";
import { createRunFolder } from "./run-folder.ts";

export interface Services {
  /** What to add to the environment of the tests. */
  env: Record<string, string>;
  /** Why something asked for is not there, by name. */
  missing: Map<ProvisionName, string>;
  /** Ends everything that this call started, and removes its data. */
  stop(): Promise<void>;
}

/**
 * Starts or makes what is named, all at once. What this machine cannot give, or what only full runs have, is reported in `missing`;
 * what the environment names already is taken as it is and not started.
 */
export async function start(names: readonly ProvisionName[]): Promise<Services> {
  const wanted = names.filter((name) => !given(provisions[name]));
  if (wanted.length === 0) return { env: {}, missing: new Map(), stop: async () => {} };
  const env: Record<string, string> = {};
  const missing = new Map<ProvisionName, string>();
  const stops: NonNullable<Started["stop"]>[] = [];
  const folder = await createRunFolder();
  const stop = async (): Promise<void> => {
    await Promise.all(stops.map((each) => each()));
    await removeTree(folder);
  };
  const begin = async (name: ProvisionName): Promise<void> => {
    const provision: Provision = provisions[name];
    if (provision.full && process.env.MELANGE2_TEST_FULL !== "1") {
      missing.set(name, onlyInFullRuns);
      return;
    }
    try {
      const started = await provision.start(join(folder, name));
      Object.assign(env, started.env);
      if (started.stop) stops.push(started.stop);
    } catch (error) {
      missing.set(name, error instanceof Error ? error.message : String(error));
    }
  };
  await Promise.all(wanted.map(begin));
  return { env, missing, stop };
}

const given = ({ variables }: Provision): boolean => variables.every((variable) => process.env[variable]);
