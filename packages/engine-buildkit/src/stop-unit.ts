import type { BuildkitClient } from "@melange2/buildkit-client";
import { marshal, type State } from "@melange2/llb";
import { neverRun } from "./permits.ts";
import { stopCache } from "./unit-op.ts";
import { places } from "./wrapper-script.ts";

/**
 * Tells the wrapper of a running unit to end its step and keep what there is. `from`: a state with a shell, such as the unit's start. By a
 * container, since a step of its own would wait where the daemon runs only so many at once.
 */
export async function stopUnit(client: BuildkitClient, from: State, run: string): Promise<void> {
  await using job = client.job({ serve: { secrets: neverRun } });
  await using container = await job.container({
    root: await job.solve(marshal(from).bytes),
    mounts: [{ type: "cache", target: places.stop, id: stopCache }],
    network: "none",
  });
  const args = ["/bin/sh", "-c", ': >"$1"', "sh", `${places.stop}/${run}`];
  const code = await container.run({ args, onOutput: () => {} });
  if (code !== 0) throw new TypeError(`the stop flag could not be raised: exit code ${code}`);
}
