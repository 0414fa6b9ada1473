import { ensurePrograms, type Program } from "@melange2-tooling/machine";
import type { TestProject } from "vitest/node";
import { demandOf } from "./demand.ts";
import { type Missing, onlyInFullRuns, writeMissing } from "./missing.ts";
import type { Provision } from "./provision.ts";
import { provisions } from "./provisions.ts";
import { start } from "./start.ts";
import { createTemporaryFolder } from "./temporary-folder.ts";

/** Before the first test: what the chosen test files ask for is started and named in the environment, which test processes inherit. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const demand = await demandOf(project.vitest.state.getPaths());
  const missing: Record<string, Missing> = {};
  for (const name of demand.programs) {
    const reason = await lacking(name);
    if (reason !== undefined) missing[name] = { reason, intended: false };
  }
  const services = await start(demand.provisions);
  for (const [name, reason] of services.missing) {
    const provision: Provision = provisions[name];
    for (const variable of provision.variables) {
      missing[variable] = { reason, intended: reason === onlyInFullRuns || provision.optional === true };
    }
  }
  writeMissing(missing);
  const temporary = await createTemporaryFolder();
  Object.assign(process.env, services.env, { TMPDIR: temporary.path });
  return async () => {
    await services.stop();
    await temporary.remove();
  };
}

const lacking = (name: Program): Promise<string | undefined> =>
  ensurePrograms([name]).then(
    () => undefined,
    (error: Error) => error.message,
  );
